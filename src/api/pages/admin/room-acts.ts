import type { z } from 'zod'
import type { ServerName, UserId } from '../../../core/ids.ts'
import { ofRoom } from '../../admin/admin-fields.ts'
import { postQuarantineRoom } from '../../admin/media/media-moderation.ts'
import { deleteLater } from '../../admin/rooms/delete-room.ts'
import { postPurge } from '../../admin/rooms/purge-history.ts'
import { deleteExtremities, postAdminJoin, postMakeRoomAdmin } from '../../admin/rooms/room-acts.ts'
import { putBlock } from '../../admin/rooms/room-block.ts'
import { postStateCheck } from '../../admin/rooms/state-check.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { checkbox, field, textarea } from '../form.ts'
import { redirectTo } from '../page.ts'
import { actPage, doneAt } from './act-page.ts'
import { ROOMS_PATH, roomPath, TASKS_PATH } from './paths.ts'
import { performAct } from './perform-act.ts'

type OfRoom = z.output<typeof ofRoom>

const at = (below: string) => `${ROOMS_PATH}/:roomId/${below}`
const subject = ({ roomId }: OfRoom) => ({ path: roomPath(roomId), label: roomId })
const ofOne = { params: ofRoom, section: 'rooms' as const, subject }
/** The list of the tasks of a room, where its deletion and purges are. */
const tasksOf = ({ roomId }: OfRoom) => `${TASKS_PATH}?about=${encodeURIComponent(roomId)}`

const block = actPage({
  ...{ act: 'blockRoom', path: at('block'), look: 'danger', ...ofOne },
  perform: (app, visit) => performAct(app, visit, putBlock, { params: visit.params, body: { block: true } }),
})

const unblock = actPage({
  ...{ act: 'unblockRoom', path: at('unblock'), ...ofOne },
  perform: (app, visit) => performAct(app, visit, putBlock, { params: visit.params, body: { block: false } }),
})

/** The field of a user. */
function userField(label: string, value: string, isRequired: boolean) {
  const attributes = { name: 'user', maxlength: 255, autocapitalize: 'none', spellcheck: 'false' }
  return field(label, { ...attributes, required: isRequired, value })
}

const userOf = (form: URLSearchParams) => (form.get('user') ?? '').trim() as UserId

const makeAdmin = actPage({
  ...{ act: 'makeRoomAdmin', path: at('make-admin'), needs: 'recent sign-in', ...ofOne },
  fields: (_app, { texts, session }, filled) => [
    userField(texts.admin.rooms.user, filled?.get('user') ?? session.userId, true),
  ],
  perform: (app, visit) =>
    performAct(app, visit, postMakeRoomAdmin, {
      params: { roomIdOrAlias: visit.params.roomId },
      body: { user_id: userOf(visit.form) },
    }),
})

const join = actPage({
  ...{ act: 'joinRoom', path: at('join'), ...ofOne },
  fields: (_app, { texts }, filled) => [userField(texts.admin.rooms.localUser, filled?.get('user') ?? '', true)],
  perform: (app, visit) =>
    performAct(app, visit, postAdminJoin, {
      ...{ params: { roomIdOrAlias: visit.params.roomId }, query: {}, body: { user_id: userOf(visit.form) } },
    }),
})

const mergeEnds = actPage({
  ...{ act: 'mergeEnds', path: at('merge-ends'), ...ofOne },
  perform: (app, visit) =>
    performAct(app, visit, deleteExtremities, { params: { roomIdOrAlias: visit.params.roomId } }),
})

/** The page with what a check has found. */
const stateOf = ({ roomId }: OfRoom) => roomPath(roomId, '/state')
const ofState = { ...ofOne, subject: (params: OfRoom) => ({ path: stateOf(params), label: params.roomId }) }

const checkState = actPage({
  ...{ act: 'checkState', path: at('check-state'), ...ofState },
  fields: (_app, { texts }, filled) => {
    const { peers, peersHint } = texts.admin.roomState
    const value = filled?.get('peers') ?? ''
    return [field(peers, { name: 'peers', maxlength: 2000, autocapitalize: 'none', value }, { hint: peersHint })]
  },
  perform: (app, visit) =>
    performAct(app, visit, postStateCheck, { params: visit.params, body: { peers: namesIn(visit.form.get('peers')) } }),
})

const namesIn = (text: string | null) => (text ?? '').split(/[\s,]+/).filter(Boolean) as ServerName[]

const repairState = actPage({
  ...{ act: 'repairState', path: at('repair-state'), look: 'danger', needs: 'recent sign-in', ...ofState },
  perform: (app, visit) => performAct(app, visit, postStateCheck, { params: visit.params, body: { repair: true } }),
})

const quarantine = actPage({
  ...{ act: 'quarantineRoom', path: at('quarantine'), look: 'danger', ...ofOne },
  perform: (app, visit) => performAct(app, visit, postQuarantineRoom, { params: visit.params }),
})

const purge = actPage({
  ...{ act: 'purgeHistory', path: at('purge'), look: 'danger', needs: 'recent sign-in', ...ofOne },
  fields(_app, { texts }, filled) {
    const { before, beforeHint, deleteLocal, deleteLocalHint } = texts.admin.rooms
    const day = { name: 'day', type: 'date', required: true, value: filled?.get('day') ?? '' }
    const checked = filled?.has('delete-local') ?? false
    return [
      field(before, day, { hint: beforeHint }),
      checkbox(deleteLocal, { name: 'delete-local', checked }, { hint: deleteLocalHint }),
    ]
  },
  async perform(app, visit) {
    await performAct(app, visit, postPurge, {
      params: visit.params,
      body: {
        purge_up_to_ts: Date.parse(visit.form.get('day') ?? ''),
        delete_local_events: visit.form.has('delete-local'),
      },
    })
    return redirectTo(doneAt(tasksOf(visit.params), 'purgeHistory'))
  },
})

const remove = actPage({
  ...{ act: 'deleteRoom', path: at('delete'), look: 'danger', needs: 'recent sign-in', ...ofOne },
  fields(_app, { texts }, filled) {
    const { rooms: words } = texts.admin
    const value = (name: string) => filled?.get(name) ?? ''
    return [
      checkbox(words.block, { name: 'block', checked: filled?.has('block') ?? false }, { hint: words.blockHint }),
      checkbox(words.force, { name: 'force', checked: filled?.has('force') ?? false }, { hint: words.forceHint }),
      field(words.newUser, { name: 'user', maxlength: 255, value: value('user') }, { hint: words.newUserHint }),
      field(words.newName, { name: 'name', maxlength: 255, value: value('name') }),
      textarea(words.newText, { name: 'message', rows: 3, maxlength: 10_000 }, { value: value('message') }),
    ]
  },
  async perform(app, visit) {
    const { form, params } = visit
    await performAct(app, visit, deleteLater, {
      params,
      body: {
        new_room_user_id: userOf(form) || null,
        room_name: form.get('name') || null,
        message: form.get('message') || null,
        ...{ block: form.has('block'), purge: true, force_purge: form.has('force') },
      },
    })
    return redirectTo(doneAt(tasksOf(params), 'deleteRoom'))
  },
})

/** The acts on a room. */
export const roomActs: AnyEndpoint[] = [
  block,
  unblock,
  makeAdmin,
  join,
  mergeEnds,
  checkState,
  repairState,
  quarantine,
  purge,
  remove,
].flat()
