import { freePort } from '../../testing/free-port.ts'
import { createTestAuthority, type TestAuthority } from '../../testing/test-authority.ts'
import { startFaultyProxy } from './faulty-proxy.ts'
import { type HearthOptions, startHearth, type TestHearth } from './hearth.ts'

/** Servers that trust one certificate authority, and reach each other as `localhost:PORT`. */
export type TestFederation = {
  authority: TestAuthority
  /**
   * Starts a further Hearth. Its `serverName` is `localhost:PORT` (or another local host), its `url` for clients is
   * another port. Unless a name or a host is given, a proxy behind that name checks the traffic against the
   * specification. `port`: its port for other servers; default: a free one.
   */
  hearth(options?: HearthOptions & { host?: string; port?: number }): Promise<TestHearth>
  /** Registers a callback of `dispose`; callbacks run in reverse order. */
  onDispose(end: () => Promise<void> | void): void
  /** Stops all servers and removes their data. Throws if any callback throws, after all have run. */
  dispose(): Promise<void>
}

/** Starts a number of federating Hearths. */
export async function startFederation(
  count = 0,
  options: HearthOptions = {},
): Promise<TestFederation & { servers: TestHearth[] }> {
  const authority = createTestAuthority()
  const ends: (() => Promise<void> | void)[] = [() => authority.dispose()]
  const federation: TestFederation = {
    authority,
    async hearth(more = {}) {
      const wanted = { ...options, ...more }
      const proxy = wanted.serverName || wanted.host ? undefined : await startFaultyProxy(federation)
      if (proxy) wanted.serverName = `localhost:${proxy.port}`
      const server = await startHearth(await federatedOptions(authority, wanted))
      proxy?.passTo(server.federationPort!)
      ends.push(() => server.dispose())
      return server
    },
    onDispose: (end) => void ends.push(end),
    async dispose() {
      const failures: unknown[] = []
      for (const end of ends.splice(0).reverse()) {
        try {
          await end()
        } catch (error) {
          failures.push(error)
        }
      }
      if (failures.length > 0)
        throw failures.length === 1 ? failures[0] : new AggregateError(failures, String(failures))
    },
  }
  try {
    const servers = await Promise.all(Array.from({ length: count }, () => federation.hearth()))
    return { ...federation, servers }
  } catch (error) {
    await federation.dispose()
    throw error
  }
}

async function federatedOptions(
  authority: TestAuthority,
  { host = 'localhost', port: wantedPort, ...options }: HearthOptions & { host?: string; port?: number },
): Promise<HearthOptions> {
  const port = wantedPort ?? (await freePort())
  return {
    ...options,
    serverName: options.serverName ?? `${host}:${port}`,
    federation: { bind: host, port, tls: authority.issue(host) },
    config: {
      ...options.config,
      federation: {
        trusted_certificates: [authority.certificate],
        allow_private_addresses: true,
        ...(options.config?.federation as object | undefined),
      },
    },
  }
}
