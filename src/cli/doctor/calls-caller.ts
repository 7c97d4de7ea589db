import type { Config } from '../../config.ts'
import { requireLivekit } from '../../services/rtc/livekit.ts'
import { askServer } from './ask-server.ts'
import { withConnections } from './federation.ts'
import { fetchJson } from './fetch-json.ts'
import { type Finding, good, problem, warning } from './finding.ts'

type Reply = { status: number; body: Record<string, unknown> }

/** Tries what a client does before it joins a call, with the access token of a user. */
export async function checkCaller(config: Config, token: string): Promise<Finding[]> {
  const ask = async (path: string, body?: object): Promise<Reply> => {
    const headers = { authorization: `Bearer ${token}` }
    const how = { headers, anyStatus: true, ...(body && { body: JSON.stringify(body) }) }
    const answer = await fetchJson(config, config.public_base_url + path, how)
    return answer.ok ? answer : { status: 0, body: { error: answer.why } }
  }
  const who = await ask('/_matrix/client/v3/account/whoami')
  const { user_id: userId, device_id: deviceId } = who.body
  if (typeof userId !== 'string') {
    return [problem(`The access token is refused: ${wordsOf(who)}.`, 'Create one: hearth token create USERNAME.')]
  }
  return [
    await tryTransports(config, ask),
    ...(await tryOpenId(config, { ask, userId })),
    await tryToken(config, { ask, deviceId: typeof deviceId === 'string' ? deviceId : 'hearth-doctor' }),
  ]
}

type Ask = (path: string, body?: object) => Promise<Reply>

async function tryTransports(config: Config, ask: Ask): Promise<Finding> {
  const answer = await ask('/_matrix/client/v1/rtc/transports')
  const transports = answer.body.rtc_transports
  const { url } = requireLivekit({ config })
  if (Array.isArray(transports) && transports.some((transport) => transport?.url === url)) {
    return good(`Clients get the transport ${url}`)
  }
  return problem(
    `Clients do not get the transport ${url}: ${wordsOf(answer)}.`,
    'Restart Hearth, so that it uses calls.livekit.',
  )
}

/** Requests an OpenID token, and verifies it as token services of other servers do. */
async function tryOpenId(config: Config, { ask, userId }: { ask: Ask; userId: string }): Promise<Finding[]> {
  const answer = await ask(`/_matrix/client/v3/user/${encodeURIComponent(userId)}/openid/request_token`, {})
  const { access_token: openId } = answer.body
  if (typeof openId !== 'string') {
    return [problem(`${userId} gets no OpenID token: ${wordsOf(answer)}.`, 'Read the log of Hearth.')]
  }
  const path = `/_matrix/federation/v1/openid/userinfo?access_token=${encodeURIComponent(openId)}`
  const verified = await withConnections(config, { toOurselves: true }, (to) =>
    askServer(to, config.server_name, { path }),
  )
  if (verified.ok && verified.body.sub === userId) return [good(`Token services of other servers verify ${userId}`)]
  const [why, fix] = verified.ok
    ? ['it is of another user', 'Correct the delegation in /.well-known/matrix/server.']
    : [verified.why, verified.fix]
  return [warning(`Token services of other servers cannot verify ${userId}: ${why}.`, fix)]
}

/** Requests a token of LiveKit for a room of the user, in a slot that no client uses. */
async function tryToken(config: Config, { ask, deviceId }: { ask: Ask; deviceId: string }): Promise<Finding> {
  const { joined_rooms: rooms } = (await ask('/_matrix/client/v3/joined_rooms')).body
  const [room_id] = Array.isArray(rooms) ? rooms : []
  if (room_id === undefined) {
    return warning(
      'No token of LiveKit was requested: the user is in no room.',
      'Use the access token of a user in a room.',
    )
  }
  const { url } = requireLivekit({ config })
  const member = { id: 'hearth-doctor', claimed_device_id: deviceId }
  const answer = await ask('/_matrix/client/v1/rtc/livekit/get_token', {
    ...{ room_id, slot_id: 'hearth.doctor', url },
    ...{ member_id: member.id, member },
  })
  if (typeof answer.body.jwt === 'string') return good('Clients get tokens of LiveKit')
  return problem(`Clients get no tokens of LiveKit: ${wordsOf(answer)}.`, 'Read the log of Hearth.')
}

function wordsOf({ status, body }: Reply): string {
  const { errcode, error } = body
  return [status > 0 && `${status}`, errcode, error].filter(Boolean).join(' ')
}
