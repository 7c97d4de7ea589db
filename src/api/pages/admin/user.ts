import type { App } from '../../../app.ts'
import { serverNameOf, type UserId } from '../../../core/ids.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { describeUser } from '../../../services/users/administration/describe-user.ts'
import { findMessageLimit } from '../../../services/users/administration/message-limits.ts'
import { loadDevices } from '../../../storage/devices/devices.ts'
import { loadUserMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadSummarisedRooms } from '../../../storage/rooms/summarised-rooms.ts'
import type { RoomMembershipRow } from '../../../storage/schema/rooms.ts'
import type { DeviceRow } from '../../../storage/schema/users.ts'
import { ofUser } from '../../admin/admin-fields.ts'
import { seenText } from '../account/account-page.ts'
import type { Page } from '../layout.ts'
import { moment, momentText } from '../moment.ts'
import { actLinks, doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { facts, listQuery, numberText, table } from './list.ts'
import { filesPath } from './media.ts'
import { auditPath, FEDERATION_PATH, NOTICES_PATH, REPORTS_PATH, USERS_PATH, userPath } from './paths.ts'
import { roomLink } from './rooms.ts'
import { userBadges } from './users.ts'

/** Devices and rooms that the page of a user shows; their numbers are those of all. */
const MOST_SHOWN = 50

type User = Awaited<ReturnType<typeof describeUser>>

/** Returns the display name of a user, or an empty text. */
export function displayNameOf({ displayname }: User): string {
  return typeof displayname === 'string' ? displayname : ''
}

export const getUserPage = adminPage({
  method: 'GET',
  path: `${USERS_PATH}/:userId`,
  section: 'users',
  params: ofUser,
  query: listQuery.pick({ done: true }),
  async handle(visit, app) {
    const { texts, query } = visit
    const { userId } = visit.params
    if (serverNameOf(userId) !== app.serverName) return remoteUserPage(visit, userId)
    const [user, devices, memberships, limit] = await Promise.all([
      describeUser(app, userId),
      loadDevices(app.database, userId),
      loadUserMemberships(app.database, userId, ['join', 'invite', 'knock', 'ban']),
      findMessageLimit(app, userId),
    ])
    const rate = limit && texts.admin.user.rate(limit.messages_per_second, limit.burst_count)
    const body = html`${doneNotice(visit, query.done)}
<p class="id">${userId} ${userBadges(texts, { ...user, is_admin: user.admin })}</p>
${factsOf(visit, user, rate)}
${actLinks(visit, actsOf(userId, user, { isLimited: limit !== undefined, isSelf: userId === visit.session.userId }))}
${devicesOf(visit, userId, devices)}
${await roomsOf(app, visit, memberships)}`
    const back = { path: USERS_PATH, label: texts.admin.sections.users }
    return { title: displayNameOf(user) || userId, body, back }
  },
})

/** A user of another server, whose account is there. */
function remoteUserPage(visit: AdminVisit, userId: UserId): Page {
  const { sections } = visit.texts.admin
  const query = `?user=${encodeURIComponent(userId)}`
  const server = `${FEDERATION_PATH}?q=${encodeURIComponent(serverNameOf(userId))}`
  const body = html`<p class="id">${userId}</p>
<p><a href="${server}">${sections.federation}</a> · <a href="${REPORTS_PATH}${query}">${sections.reports}</a> ·
<a href="${auditPath(userId)}">${sections.audit}</a></p>`
  return { title: userId, body, back: { path: USERS_PATH, label: sections.users } }
}

function factsOf(visit: AdminVisit, user: User, rate: string | undefined): Html {
  const { users: words, user: more, sections } = visit.texts.admin
  const { name, threepids, external_ids: links } = user
  const query = `?user=${encodeURIComponent(name)}`
  return facts([
    [words.created, moment(visit, user.creation_ts)],
    [words.seen, user.last_seen_ts === null ? words.never : moment(visit, user.last_seen_ts)],
    [more.addresses, threepids.length === 0 ? undefined : lines(threepids.map(({ address }) => address))],
    [
      more.links,
      links.length === 0 ? undefined : lines(links.map((link) => `${link.auth_provider}: ${link.external_id}`)),
    ],
    [more.appservice, user.appservice_id ?? undefined],
    [more.rateLimit, rate],
    [
      more.more,
      html`<a href="${filesPath(name)}">${sections.media}</a> · <a href="${REPORTS_PATH}${query}">${sections.reports}</a> ·
<a href="${NOTICES_PATH}${query}">${sections.notices}</a> · <a href="${auditPath(name)}">${sections.audit}</a>`,
    ],
  ])
}

function lines(texts: readonly string[]): Html {
  return html`${texts.map((text) => html`<div class="text">${text}</div>`)}`
}

function actsOf(userId: UserId, user: User, { isLimited, isSelf }: { isLimited: boolean; isSelf: boolean }) {
  const at = (below: string) => userPath(userId, `/${below}`)
  if (user.deactivated)
    return [
      { act: 'reactivate' as const, path: at('reactivate') },
      ...(user.erased ? [] : [{ act: 'deactivate' as const, path: at('deactivate'), isDangerous: true }]),
      { act: 'redact' as const, path: at('redact'), isDangerous: true },
    ]
  const moderation = user.admin
    ? []
    : [
        user.locked
          ? { act: 'unlock' as const, path: at('unlock') }
          : { act: 'lock' as const, path: at('lock'), isDangerous: true },
        user.shadow_banned
          ? { act: 'endShadowBan' as const, path: at('end-shadow-ban') }
          : { act: 'shadowBan' as const, path: at('shadow-ban'), isDangerous: true },
        user.suspended
          ? { act: 'unsuspend' as const, path: at('unsuspend') }
          : { act: 'suspend' as const, path: at('suspend'), isDangerous: true },
      ]
  return [
    { act: 'editUser' as const, path: at('edit') },
    { act: 'resetPassword' as const, path: at('password') },
    { act: 'signOutUser' as const, path: at('sign-out') },
    { act: 'limitRate' as const, path: at('rate-limit') },
    ...(isLimited ? [{ act: 'unlimitRate' as const, path: at('no-rate-limit') }] : []),
    ...(user.is_guest || user.admin ? [] : [{ act: 'makeAdmin' as const, path: at('make-admin') }]),
    ...(user.admin && !isSelf ? [{ act: 'endAdmin' as const, path: at('end-admin'), isDangerous: true }] : []),
    ...moderation,
    { act: 'redact' as const, path: at('redact'), isDangerous: true },
    { act: 'deactivate' as const, path: at('deactivate'), isDangerous: true },
  ]
}

function devicesOf(visit: AdminVisit, userId: UserId, devices: readonly DeviceRow[]): Html {
  const { user: words } = visit.texts.admin
  const used = ({ last_seen_ts, created_ts }: DeviceRow) => last_seen_ts ?? created_ts
  const shown = devices.toSorted((one, other) => used(other) - used(one)).slice(0, MOST_SHOWN)
  const items = shown.map(({ device_id, display_name, last_seen_ts: at, last_seen_ip: address, created_ts }) => {
    const seen =
      at === null ? visit.texts.devices.since(momentText(visit, created_ts)) : seenText(visit, { at, address })
    const end = userPath(userId, `/devices/${encodeURIComponent(device_id)}/sign-out`)
    return html`<li><div><strong class="text"><bdi>${display_name || device_id}</bdi></strong><small>${device_id} · ${seen}</small></div>
<a href="${end}" aria-label="${visit.texts.admin.acts.signOutDevice.submit}: ${display_name || device_id}">${visit.texts.admin.acts.signOutDevice.submit}</a></li>`
  })
  return html`<section aria-labelledby="devices"><h2 id="devices">${words.devices(numberText(visit, devices.length))}</h2>
${items.length === 0 ? html`<p>${visit.texts.admin.list.none}</p>` : html`<ul class="entries">${items}</ul>`}</section>`
}

/** Rooms that the user is in come first. */
async function roomsOf(app: App, visit: AdminVisit, memberships: readonly RoomMembershipRow[]): Promise<Html> {
  const { user: words } = visit.texts.admin
  const ofKind = Map.groupBy(memberships, ({ membership }) => membership)
  const sorted = [...(ofKind.get('join') ?? []), ...memberships.filter(({ membership }) => membership !== 'join')]
  const shown = sorted.slice(0, MOST_SHOWN)
  const rooms = await loadSummarisedRooms(
    app.database,
    shown.map(({ room_id }) => room_id),
  )
  const known = new Map(rooms.map((room) => [room.room_id, room]))
  const columns = [
    {
      title: words.room,
      cell: ({ room_id }: RoomMembershipRow) =>
        roomLink(known.get(room_id) ?? { room_id, name: null, canonical_alias: null }),
    },
    {
      title: words.membership,
      cell: ({ membership }: RoomMembershipRow) => words.memberships[membership as keyof typeof words.memberships],
    },
  ]
  const label = words.rooms(numberText(visit, memberships.length))
  return html`<section aria-labelledby="rooms"><h2 id="rooms">${label}</h2>
${table(visit, { label, columns, rows: shown })}</section>`
}
