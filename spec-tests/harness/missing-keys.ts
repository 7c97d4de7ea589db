import { type IEvent, type MatrixClient, Method } from 'matrix-js-sdk'

type Sessions = Record<string, { first_message_index: number }>

/** Returns the first known index of each session on a device: the number after the version in an exported key. */
export async function firstIndexes(device: MatrixClient): Promise<Map<string, number>> {
  const keys = await device.getCrypto()!.exportRoomKeys()
  return new Map(
    keys.map(({ session_id, session_key }) => [session_id, Buffer.from(session_key, 'base64').readUInt32BE(1)]),
  )
}

/** Returns the first known index of each session of a room in the backup of a device's user. */
export async function backedUpIndexes(device: MatrixClient, roomId: string): Promise<Map<string, number>> {
  const version = (await device.getCrypto()!.getKeyBackupInfo())!.version!
  const path = `/room_keys/keys/${encodeURIComponent(roomId)}`
  const { sessions } = await device.http.authedRequest<{ sessions: Sessions }>(Method.Get, path, { version })
  return new Map(Object.entries(sessions).map(([sessionId, key]) => [sessionId, key.first_message_index]))
}

/**
 * Describes each session with messages that a device cannot decrypt: its sender, these messages, and the first index
 * that the device, the backup and other devices have. `sent`: all events, in order; `reasons`: why some cannot be
 * decrypted, by event ID.
 */
export async function describeMissingKeys(
  device: MatrixClient,
  { sent, reasons, others }: { sent: readonly IEvent[]; reasons: ReadonlyMap<string, string>; others: MatrixClient[] },
): Promise<string> {
  const backup = await backedUpIndexes(device, sent[0]!.room_id!)
  const devices = [device, ...others.filter((other) => other !== device)]
  const known = await Promise.all(devices.map(firstIndexes))
  const sessions = Map.groupBy(sent, ({ content }) => content.session_id as string)
  const lines = [...sessions].flatMap(([sessionId, events]) => {
    const lost = events.filter(({ event_id }) => reasons.has(event_id))
    if (lost.length === 0) return []
    const places = lost.map((event) => events.indexOf(event)).join(' ')
    const why = new Set(lost.map(({ event_id }) => reasons.get(event_id)))
    const from = devices.map((each, place) => `${each.getDeviceId()}: ${known[place]!.get(sessionId) ?? 'none'}`)
    const { sender, content } = lost[0]!
    return `${sessionId} of ${sender} ${content.device_id}: not its messages ${places} of ${events.length} (${[...why].join(', ')});
      first message in the backup: ${backup.get(sessionId) ?? 'none'}; on devices: ${from.join(', ')}`
  })
  return lines.join('\n')
}
