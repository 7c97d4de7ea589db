import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerAdmin, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { SHARED_SECRET, startHearth } from '../harness/hearth.ts'
import { createRoom, eventPath, joinRoom, roomPath, v3 } from '../harness/rooms.ts'

/**
 * Runs Draupnir against a Hearth, by hand: `DRAUPNIR_DIR=… node spec-tests/clients/run-draupnir.ts`, where the folder is
 * a checkout of the-draupnir-project/Draupnir after `npm ci` and `npm run build`. Prints a line for each step; the exit
 * status is 1 if one failed.
 */
const draupnirDir = process.env.DRAUPNIR_DIR
if (!draupnirDir) throw new Error('Set DRAUPNIR_DIR to a built checkout of Draupnir.')

const PATIENCE_MS = 30_000
const folder = mkdtempSync(join(tmpdir(), 'hearth-draupnir-'))
const webPort = await freePort()
const spam_checks = {
  url: `http://127.0.0.1:${webPort}/api/1/spam_check`,
  token: 'a shared secret',
  checks: ['user_may_invite', 'user_may_join_room', 'check_event_for_spam'],
  // Draupnir itself uses the server before it answers.
  fail_open: ['user_may_invite', 'user_may_join_room', 'check_event_for_spam'],
}
const hearth = await startHearth({ config: { spam_checks } })
const { url } = hearth
const bot = await registerAdmin(url, SHARED_SECRET)
const [moderator, spammer, member] = await Promise.all([registerUser(url), registerUser(url), registerUser(url)])
const management = await createRoom(moderator, { preset: 'private_chat', invite: [bot.userId] })
await joinRoom(management, bot)
await moderator.put(roomPath(management, 'state/m.room.power_levels/'), {
  ...(await moderator.get(roomPath(management, 'state/m.room.power_levels'))),
  users_default: 50,
})
const protectedRoom = await createRoom(moderator, {
  preset: 'public_chat',
  ...{ room_version: '11', power_level_content_override: { users: { [moderator.userId]: 100, [bot.userId]: 100 } } },
})
await joinRoom(protectedRoom, bot, spammer, member)

const configFile = join(folder, 'draupnir.yaml')
writeFileSync(
  configFile,
  JSON.stringify({
    ...{ homeserverUrl: url, rawHomeserverUrl: url, accessToken: bot.accessToken, managementRoom: management },
    ...{ dataPath: folder, autojoinOnlyIfManager: true, protectAllJoinedRooms: false, backgroundDelayMS: 10 },
    ...{ automaticallyRedactForReasons: ['spam'], verifyPermissionsOnStartup: true, logLevel: 'INFO' },
    ...{ roomStateBackingStore: { enabled: false }, pollReports: true, displayReports: true },
    admin: { enableMakeRoomAdminCommand: true },
    web: {
      ...{ enabled: true, port: webPort, address: '127.0.0.1', abuseReporting: { enabled: false } },
      synapseHTTPAntispam: { enabled: true, authorization: 'a shared secret' },
    },
  }),
)
const entry = join(draupnirDir, 'apps', 'draupnir', 'dist', 'index.js')
let log = ''
// DRAUPNIR_NODE: the Node for which its native modules were built.
const draupnir = spawn(process.env.DRAUPNIR_NODE ?? process.execPath, [entry, '--draupnir-config', configFile], {
  cwd: join(draupnirDir, 'apps', 'draupnir'),
  stdio: ['ignore', 'pipe', 'pipe'],
})
for (const stream of [draupnir.stdout, draupnir.stderr]) stream.on('data', (chunk) => (log += chunk))

type Seen = { event_id: string; sender: string; type: string; content: { body?: string } }

async function saidByBot(): Promise<string> {
  const { chunk } = await moderator.get(roomPath(management, 'messages?dir=b&limit=100'))
  return chunk.flatMap(({ sender, content }: Seen) => (sender === bot.userId ? (content.body ?? []) : [])).join('\n')
}

const membershipOf = async (user: TestUser, roomId = protectedRoom): Promise<string> =>
  (await moderator.get(roomPath(roomId, `state/m.room.member/${encodeURIComponent(user.userId)}`))).membership

const say = (command: string) => sendText(moderator, management, `!draupnir ${command}`)
const until = (what: string, isSo: () => Promise<unknown>) => pollUntil(what, isSo, PATIENCE_MS)

let failed = 0
async function step(name: string, act: () => Promise<unknown>): Promise<void> {
  try {
    await act()
    console.log(`ok      ${name}`)
  } catch (error) {
    failed++
    console.log(`FAILED  ${name}: ${(error as Error).message}`)
    if (draupnir.exitCode !== null) throw new Error('Draupnir has ended', { cause: error })
  }
}

/** Drives the bot through its acts, in order: later steps need earlier ones. */
async function moderate(): Promise<void> {
  await step('starts, and reports its status', () =>
    until('status', async () => (await saidByBot()).includes('Startup complete')),
  )
  await step('answers the status command', async () => {
    await say('status')
    await until('status', async () => (await saidByBot()).split('This deployment protects').length > 2)
  })
  await step('creates a policy list', async () => {
    await say('list create bans bans')
    await until('alias', async () => {
      const alias = encodeURIComponent(`#bans:${hearth.serverName}`)
      return (await moderator.ask('GET', `${v3}/directory/room/${alias}`)).status === 200
    })
  })
  await step('protects a room', async () => {
    await say(`rooms add ${protectedRoom}`)
    await say('rooms')
    await until('rooms', async () => (await saidByBot()).includes(protectedRoom))
  })
  const spam = await sendText(spammer, protectedRoom, 'buy this')
  await step('bans a user by a policy, and redacts the spam', async () => {
    await say(`ban ${spammer.userId} bans spam`)
    await until('ban', async () => (await membershipOf(spammer)) === 'ban')
    await until('redaction', async () => {
      return !('body' in (await moderator.get(roomPath(protectedRoom, eventPath('event', spam)))).content)
    })
  })
  await step('redacts the messages of a member', async () => {
    const eventId = await sendText(member, protectedRoom, 'a mistake')
    await say(`redact https://matrix.to/#/${protectedRoom}/${eventId}?via=${hearth.serverName} mistake`)
    await until('redaction', async () => {
      return !('body' in (await moderator.get(roomPath(protectedRoom, eventPath('event', eventId)))).content)
    })
  })
  await step('unbans the user', async () => {
    await say(`unban ${spammer.userId} --no-confirm`)
    await until('unban', async () => (await membershipOf(spammer)) === 'leave')
  })
  await step('polls reports', async () => {
    const eventId = await sendText(member, protectedRoom, 'an insult')
    await moderator.post(roomPath(protectedRoom, eventPath('report', eventId)), { reason: 'insulting words' })
    await until('report', async () => (await saidByBot()).includes('insulting words'))
  })
  await step('blocks invites by a banned user (user_may_invite)', async () => {
    await say('protections enable BlockInvitationsOnServerProtection')
    await say(`ban ${spammer.userId} bans spam`)
    const own = await createRoom(spammer, { preset: 'private_chat' })
    await until('refusal', async () => {
      const { status } = await spammer.ask('POST', roomPath(own, 'invite'), { user_id: member.userId })
      return status === 403
    })
  })
  await step('suspends and unrestricts a user', async () => {
    await say(`suspend ${spammer.userId} --no-confirm`)
    await until('suspension', async () => (await spammer.ask('POST', `${v3}/createRoom`, {})).status === 403)
    await say(`unrestrict ${spammer.userId}`)
    await until('end', async () => (await spammer.ask('POST', `${v3}/createRoom`, {})).status === 200)
  })
  await step('makes itself administrator of a room (hijack)', async () => {
    const roomId = await createRoom(member, { preset: 'public_chat', room_version: '11' })
    await say(`hijack room ${roomId} ${bot.userId}`)
    await until('power', async () => {
      const levels = await member.get(roomPath(roomId, 'state/m.room.power_levels'))
      return levels.users?.[bot.userId] === 100
    })
  })
  await step('shuts a room down', async () => {
    const roomId = await createRoom(spammer, { preset: 'public_chat' })
    await joinRoom(roomId, member)
    await say(`shutdown room ${roomId} nasty`)
    const inRoom = async () => (await member.get(`${v3}/joined_rooms`)).joined_rooms.includes(roomId)
    await until('shutdown', async () => !(await inRoom()))
    const { status } = await member.ask('POST', `${v3}/join/${encodeURIComponent(roomId)}`, {})
    if (status !== 403 && status !== 404) throw new Error(`a join is answered with ${status}`)
  })
  await step('deactivates a user', async () => {
    await say(`deactivate ${spammer.userId} --no-confirm`)
    await until('end', async () => (await spammer.ask('GET', `${v3}/account/whoami`)).status === 401)
  })
}

try {
  await moderate().catch((error) => console.error(error))
  if (failed > 0 || process.env.VERBOSE) console.log(`${await saidByBot().catch(() => '')}\n${log.slice(-20_000)}`)
} finally {
  draupnir.kill('SIGTERM')
  await hearth.dispose()
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failed > 0 ? 1 : 0
