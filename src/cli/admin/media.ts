import { v1 } from '../../api/admin/admin-fields.ts'
import { type Command, UsageError } from '../command.ts'
import { defineAct } from './act.ts'
import type { AdminRequest } from './admin-api.ts'

export const quarantineMediaCommand = forMedia({
  verb: 'quarantine',
  about: 'Quarantines a file: nobody can download it, also other copies of the same content.',
  purpose: 'after a report',
  perform: (request, media) => request('POST', v1(`/media/quarantine/${media}`)),
  done: 'is quarantined',
})

export const unquarantineMediaCommand = forMedia({
  verb: 'unquarantine',
  about: 'Ends the quarantine of a file.',
  purpose: 'after quarantine',
  perform: (request, media) => request('POST', v1(`/media/unquarantine/${media}`)),
  done: 'is no longer quarantined',
})

export const deleteMediaCommand = forMedia({
  verb: 'delete',
  about: 'Deletes a file that a user of this server uploaded.',
  purpose: 'when its owner asks for it',
  perform: (request, media) => request('DELETE', v1(`/media/${media}`)),
  done: 'is deleted',
})

type MediaAct = {
  verb: string
  about: string
  purpose: string
  /** `media`: server and ID, as in paths. */
  perform(request: AdminRequest, media: string): Promise<unknown>
  /** The end of a sentence about the file, after the act. */
  done: string
}

function forMedia({ verb, about, purpose, perform, done }: MediaAct): Command {
  return defineAct({
    ...{ command: `media ${verb}`, about, argument: 'MXC_URI', purpose },
    example: 'mxc://example.org/a1b2c3',
    perform: async ({ request }, uri) => ({ answer: await perform(request, pathOf(uri)), done: `${uri} ${done}.` }),
  })
}

function pathOf(uri: string): string {
  const [, server, id] = /^mxc:\/\/([^/]+)\/([^/]+)$/.exec(uri) ?? []
  if (server === undefined || id === undefined)
    throw new UsageError(`${uri} is no URI such as mxc://example.org/a1b2c3`)
  return `${encodeURIComponent(server)}/${encodeURIComponent(id)}`
}
