import type { App } from '../../app.ts'
import type { RoomId } from '../../core/ids.ts'
import { type Html, html } from '../../core/text/html.ts'
import { withoutTrailingSlashes } from '../../core/text/trailing-slashes.ts'
import type { Mail } from '../../infra/mail/mailer.ts'
import { type EmailPusher, loadDigestNames, loadRoomNames } from '../../storage/push/email-digests.ts'
import type { PushQueueRow } from '../../storage/schema/push.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import { unsubscribeLink } from './unsubscribe.ts'

type Capabilities = Pick<App, 'config' | 'database' | 'random' | 'serverName'>
type Line = { who: string; what: string; at: string }
type Section = { name: string; link: string; lines: Line[] }

const MOST_CHARACTERS = 300
const MOST_CHARACTERS_OF_A_NAME = 100

/** Composes the mail about a user's unread events, by room. */
export async function digestMail(
  app: Capabilities,
  pusher: EmailPusher,
  { waiting, unread }: { waiting: readonly PushQueueRow[]; unread: readonly StoredEvent[] },
): Promise<Mail> {
  const sections = await sectionsOf(app, unread)
  const leave = await unsubscribeLink(app, pusher.pusher_nid)
  const subject = `[${brandOf(pusher)}] ${subjectOf(unread.length, sections)}`
  return {
    to: pusher.pushkey,
    subject,
    text: textOf(sections, { leave, userId: pusher.user_id }),
    html: htmlOf(sections, { leave, userId: pusher.user_id, subject }),
    headers: {
      // For the one-click button of mail programs: https://www.rfc-editor.org/rfc/rfc8058
      'List-Unsubscribe': `<${leave}>`,
      'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
    },
    messageId: `<digest.${pusher.pusher_nid}.${waiting.at(-1)!.queue_nid}@${hostOf(app.serverName)}>`,
  }
}

/** Clients set their name in `data.brand`. */
function brandOf({ data }: EmailPusher): string {
  const { brand } = JSON.parse(data) as { brand?: unknown }
  return typeof brand === 'string' && brand !== '' ? oneLine(brand, MOST_CHARACTERS_OF_A_NAME) : 'Matrix'
}

function subjectOf(count: number, sections: readonly Section[]): string {
  const what = count === 1 ? '1 unread notification' : `${count} unread notifications`
  return sections.length === 1 ? `${what} in ${sections[0]!.name}` : `${what} in ${sections.length} rooms`
}

async function sectionsOf(app: Capabilities, events: readonly StoredEvent[]): Promise<Section[]> {
  const byRoom = Map.groupBy(events, ({ room_id }) => room_id)
  const roomNames = await loadRoomNames(app.database, [...byRoom.keys()])
  const senders = events.map(({ room_id: roomId, pdu }) => ({ roomId, userId: pdu.sender }))
  const memberNames = await loadDigestNames(app.database, senders)
  return [...byRoom].map(([roomId, ofRoom]) => {
    const lines = ofRoom.map(({ pdu }) => ({
      who: oneLine(memberNames.get(`${roomId}\0${pdu.sender}`) ?? pdu.sender, MOST_CHARACTERS_OF_A_NAME),
      what: oneLine(descriptionOf(pdu), MOST_CHARACTERS),
      at: timeOf(pdu.origin_server_ts),
    }))
    // A room without a name is named by the senders.
    const name = roomNames.get(roomId) ?? [...new Set(lines.map(({ who }) => who))].join(', ')
    return { name: oneLine(name, MOST_CHARACTERS_OF_A_NAME), link: linkTo(app, roomId), lines }
  })
}

function linkTo({ config }: Capabilities, roomId: RoomId): string {
  const base = withoutTrailingSlashes(config.email.client_url)
  return `${base}/#/${base === 'https://matrix.to' ? '' : 'room/'}${encodeURIComponent(roomId)}`
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  'm.room.encrypted': 'sent an encrypted message',
  'm.room.member': 'invited you',
  'm.sticker': 'sent a sticker',
  'm.call.invite': 'called you',
  'm.image': 'sent an image',
  'm.video': 'sent a video',
  'm.audio': 'sent an audio file',
  'm.file': 'sent a file',
  'm.location': 'sent a location',
}

function descriptionOf({ type, content }: StoredEvent['pdu']): string {
  const kind = type === 'm.room.message' && typeof content.msgtype === 'string' ? content.msgtype : type
  const known = Object.hasOwn(DESCRIPTIONS, kind) ? DESCRIPTIONS[kind] : undefined
  return known ?? (typeof content.body === 'string' ? content.body : 'sent something')
}

function textOf(sections: readonly Section[], { leave, userId }: { leave: string; userId: string }): string {
  const rooms = sections.map(({ name, link, lines }) =>
    [name, link, ...lines.map(({ who, what, at }) => `  ${at}  ${who}: ${what}`)].join('\n'),
  )
  return `${rooms.join('\n\n')}\n\n--\nThis went to the address of ${userId}. To unsubscribe:\n${leave}\n`
}

function htmlOf(
  sections: readonly Section[],
  { leave, userId, subject }: { leave: string; userId: string; subject: string },
): string {
  const rooms: Html[] = sections.map(
    ({ name, link, lines }) => html`<h2><a href="${link}">${name}</a></h2>
<ul>${lines.map(({ who, what, at }) => html`<li><b>${who}</b>: ${what} <small>${at}</small></li>`)}</ul>
`,
  )
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${subject}</title></head><body>
${rooms}
<p><small>This went to the address of ${userId}. <a href="${leave}">Unsubscribe</a>.</small></p>
</body></html>
`.text
}

/** The reader's time zone is unknown. */
function timeOf(timestamp: number): string {
  const date = new Date(timestamp)
  return Number.isNaN(date.getTime()) ? '' : `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

function oneLine(text: string, most: number): string {
  const characters = [...text.replace(/[\s\p{Cc}]+/gu, ' ').trim()]
  return characters.length > most ? `${characters.slice(0, most).join('')}…` : characters.join('')
}

/** Message IDs contain a host without a port. */
function hostOf(serverName: string): string {
  return serverName.replace(/:\d+$/, '')
}
