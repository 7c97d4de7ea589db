import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { hearthV1 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import { localpartOf } from '../../core/ids.ts'
import { askAccount } from '../ask-account.ts'
import { CONFIG_OPTION, defineCommand } from '../command.ts'
import { withAdminApi } from './admin-api.ts'
import { writeNew } from './new-file.ts'

export const exportUserCommand = defineCommand({
  argument: '[USERNAME]',
  about:
    'Writes all data of a user into a ZIP archive: account, devices, settings, rooms with the events that the user can see, and uploaded files.',
  options: {
    ...CONFIG_OPTION,
    output: { type: 'string', value: 'FILE', about: 'the archive; absent: USERNAME.zip in this folder' },
  },
  examples: [['user export alice --output alice.zip', 'answer a request for all data of a person']],
  async run({ config: configFile, output }, name) {
    const config = loadConfig({ configFile })
    const userId = await askAccount(config, name, 'user export')
    const file = output ?? `${localpartOf(userId)}.zip`
    const path = hearthV1(`/users/${encodeURIComponent(userId)}/export`)
    await writeNew(file, 'file', (partial) =>
      withAdminApi(config, async ({ download }) =>
        pipeline(await download(path), createWriteStream(partial, { mode: 0o600, flush: true })),
      ),
    )
    console.log(`${file} has the data of ${userId}.`)
    return 0
  },
})
