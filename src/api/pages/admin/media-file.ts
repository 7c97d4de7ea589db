import { contentUriOf, type MediaName } from '../../../core/content-uri.ts'
import { NotFoundError } from '../../../core/errors.ts'
import { byteSizeText } from '../../../core/text/byte-size.ts'
import { html } from '../../../core/text/html.ts'
import { findLocalUser } from '../../../services/users/account-moderation.ts'
import { findMediaRecord } from '../../../storage/media/local-media.ts'
import { ofUser } from '../../admin/admin-fields.ts'
import { hexOf } from '../../admin/media/media-fields.ts'
import {
  postProtect,
  postQuarantine,
  postQuarantineUser,
  postUnprotect,
  postUnquarantine,
} from '../../admin/media/media-moderation.ts'
import { deleteMedia, postDeleteMedia, postPurgeMediaCache } from '../../admin/media/media-records.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { mediaPath } from '../../media/media-fields.ts'
import { checkbox, field } from '../form.ts'
import { moment } from '../moment.ts'
import { redirectTo } from '../page.ts'
import type { Texts } from '../texts/en.ts'
import { actLinks, actPage, doneAt, doneNotice } from './act-page.ts'
import { adminPage } from './admin-page.ts'
import { facts, listQuery, orderQuery } from './list.ts'
import { FILE_ORDERS, filesPath, listOfFiles, mediaBadges } from './media.ts'
import { MEDIA_PATH, mediaPagePath, USERS_PATH, userPath } from './paths.ts'
import { performAct } from './perform-act.ts'
import { userLink } from './reports.ts'

const path = `${MEDIA_PATH}/:serverName/:mediaId`

/** The files that a user uploaded. */
const getFilesPage = adminPage({
  method: 'GET',
  path: `${USERS_PATH}/:userId/media`,
  section: 'media',
  params: ofUser,
  query: listQuery.pick({ from: true, done: true }).extend({ sort: orderQuery(FILE_ORDERS, '-created_ts') }),
  async handle(visit, app) {
    const { userId } = visit.params
    await findLocalUser(app, userId)
    const acts = [{ act: 'quarantineUser' as const, path: `${filesPath(userId)}/quarantine`, isDangerous: true }]
    const body = html`${doneNotice(visit, visit.query.done)}
<p><a href="${userPath(userId)}" class="id">${userId}</a></p>
${actLinks(visit, acts)}
${await listOfFiles(app, visit, { userId, ...visit.query })}`
    const { sections, media } = visit.texts.admin
    return { title: media.ofUser, body, back: { path: MEDIA_PATH, label: sections.media } }
  },
})

/** A file. Its content is not shown: it may be what nobody should see. */
const getFilePage = adminPage({
  method: 'GET',
  path,
  section: 'media',
  params: mediaPath,
  query: listQuery.pick({ done: true }),
  async handle(visit, app) {
    const { params, texts } = visit
    const { media: words, sections, users } = texts.admin
    const media = await findMediaRecord(app.database, params)
    if (!media) throw new NotFoundError('There is no such file')
    const isLocal = media.server_name === app.serverName
    const at = (below: string) => mediaPagePath(params, `/${below}`)
    const isQuarantined = media.quarantined_by !== null
    const acts = [
      isQuarantined
        ? { act: 'unquarantine' as const, path: at('unquarantine') }
        : { act: 'quarantine' as const, path: at('quarantine'), isDangerous: true },
      ...(isLocal
        ? [
            media.is_protected
              ? ({ act: 'unprotect', path: at('unprotect') } as const)
              : ({ act: 'protect', path: at('protect') } as const),
          ]
        : []),
      ...(isLocal ? [{ act: 'deleteMedia' as const, path: at('delete'), isDangerous: true }] : []),
    ]
    const body = html`${doneNotice(visit, visit.query.done)}
<p class="id">${contentUriOf(params)} ${mediaBadges(texts, media)}</p>
${facts([
  [words.uploader, media.uploader === null ? undefined : userLink(media.uploader)],
  [words.type, media.content_type],
  [words.size, media.size === null ? undefined : byteSizeText(media.size)],
  [words.uploaded, moment(visit, media.created_ts)],
  [words.used, media.accessed_ts === null ? users.never : moment(visit, media.accessed_ts)],
  [words.quarantinedBy, media.quarantined_by === null ? undefined : userLink(media.quarantined_by)],
  ['SHA-256', media.sha256 === null ? undefined : html`<code>${hexOf(media.sha256)}</code>`],
])}
${actLinks(visit, acts)}`
    return { title: media.filename ?? params.mediaId, body, back: { path: MEDIA_PATH, label: sections.media } }
  },
})

const subject = (params: MediaName) => ({ path: mediaPagePath(params), label: contentUriOf(params) })
const overview = (_params: unknown, { admin }: Texts) => ({ path: MEDIA_PATH, label: admin.sections.media })
const ofOne = { section: 'media' as const, params: mediaPath, subject }

const quarantine = actPage({
  ...{ act: 'quarantine', path: `${path}/quarantine`, look: 'danger', ...ofOne },
  perform: (app, visit) => performAct(app, visit, postQuarantine, { params: visit.params }),
})

const unquarantine = actPage({
  ...{ act: 'unquarantine', path: `${path}/unquarantine`, ...ofOne },
  perform: (app, visit) => performAct(app, visit, postUnquarantine, { params: visit.params }),
})

const protect = actPage({
  ...{ act: 'protect', path: `${path}/protect`, ...ofOne },
  perform: (app, visit) => performAct(app, visit, postProtect, { params: { mediaId: visit.params.mediaId } }),
})

const unprotect = actPage({
  ...{ act: 'unprotect', path: `${path}/unprotect`, ...ofOne },
  perform: (app, visit) => performAct(app, visit, postUnprotect, { params: { mediaId: visit.params.mediaId } }),
})

const remove = actPage({
  ...{ act: 'deleteMedia', path: `${path}/delete`, look: 'danger', needs: 'recent sign-in', ...ofOne },
  async perform(app, visit) {
    await performAct(app, visit, deleteMedia, { params: visit.params })
    return redirectTo(doneAt(MEDIA_PATH, 'deleteMedia'))
  },
})

const quarantineUser = actPage({
  ...{ act: 'quarantineUser', path: `${USERS_PATH}/:userId/media/quarantine`, look: 'danger', section: 'media' },
  params: ofUser,
  subject: ({ userId }) => ({ path: filesPath(userId), label: userId }),
  perform: (app, visit) => performAct(app, visit, postQuarantineUser, { params: visit.params }),
})

/** The field of a day. An act concerns what was not used since its beginning, in UTC. */
function dayField({ admin: { media } }: Texts, value: string) {
  return field(media.unusedSince, { name: 'day', type: 'date', required: true, value }, { hint: media.unusedHint })
}

const dayOf = (form: URLSearchParams) => Date.parse(form.get('day') ?? '')

const deleteUploads = actPage({
  ...{ act: 'deleteUploads', path: `${MEDIA_PATH}/delete-uploads`, look: 'danger', section: 'media' },
  ...{ needs: 'recent sign-in', subject: overview },
  fields(_app, { texts }, filled) {
    const { largerThan, keepAvatars } = texts.admin.media
    return [
      dayField(texts, filled?.get('day') ?? ''),
      field(largerThan, { name: 'size', type: 'number', min: 0, required: true, value: filled?.get('size') ?? 0 }),
      checkbox(keepAvatars, { name: 'keep-avatars', checked: filled === undefined || filled.has('keep-avatars') }),
    ]
  },
  perform: (app, visit) =>
    performAct(app, visit, postDeleteMedia, {
      params: {},
      query: {
        before_ts: dayOf(visit.form),
        size_gt: Number(visit.form.get('size')) * 1024,
        keep_profiles: visit.form.has('keep-avatars') ? 'true' : 'false',
      },
    }),
})

const deleteCopies = actPage({
  ...{ act: 'deleteCopies', path: `${MEDIA_PATH}/delete-copies`, look: 'danger', section: 'media', subject: overview },
  fields: (_app, { texts }, filled) => [dayField(texts, filled?.get('day') ?? '')],
  perform: (app, visit) => performAct(app, visit, postPurgeMediaCache, { query: { before_ts: dayOf(visit.form) } }),
})

/** The pages of files. Pages about all files come first: the paths of a file match them too. */
export const mediaPages: AnyEndpoint[] = [
  getFilesPage,
  ...quarantineUser,
  ...deleteUploads,
  ...deleteCopies,
  getFilePage,
  ...[quarantine, unquarantine, protect, unprotect, remove].flat(),
]
