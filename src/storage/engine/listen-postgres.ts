import pg from 'pg'

const RECONNECT_MS = 1000
/** Maximum time for opening a connection, after which another attempt is made. */
const CONNECT_MS = 10_000

/**
 * Opens a connection that receives notifications of a channel, and opens it again after a failure: the poll of the
 * stream finds what it missed in between. Throws if the first attempt fails. Returns a function that closes it.
 */
export async function listenPostgres({
  url,
  channel,
  onHint,
  reportError,
}: {
  url: string
  channel: string
  onHint(payload: string): void
  reportError(error: unknown): void
}): Promise<() => Promise<void>> {
  let isStopped = false
  /** The open connection, or the one that is being opened. */
  let client: pg.Client
  let isOpen = false
  let retry: NodeJS.Timeout | undefined

  async function open(): Promise<void> {
    const fresh = new pg.Client({
      connectionString: url,
      application_name: 'hearth listener',
      connectionTimeoutMillis: CONNECT_MS,
    })
    client = fresh
    fresh.on('notification', (message) => onHint(message.payload ?? ''))
    fresh.on('error', (error) => {
      if (isStopped) return
      reportError(error)
      if (isOpen) openLater()
    })
    try {
      await fresh.connect()
      await fresh.query(`listen ${pg.escapeIdentifier(channel)}`)
    } catch (error) {
      // Without a listener, an error of the closing connection would end the process.
      fresh.end().catch(() => {})
      throw error
    }
    isOpen = true
  }

  function openLater(): void {
    isOpen = false
    if (!isStopped) retry = setTimeout(() => open().catch(openLater), RECONNECT_MS)
  }

  await open()
  return async () => {
    isStopped = true
    clearTimeout(retry)
    const ended = client.end()
    // A connection that is being opened may never be: nothing waits for it.
    if (isOpen) await ended
    else ended.catch(() => {})
  }
}
