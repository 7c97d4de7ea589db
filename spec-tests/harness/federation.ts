import { freePort } from '../../testing/free-port.ts'
import { createTestAuthority, type TestAuthority } from '../../testing/test-authority.ts'
import { startFaultyProxy } from './faulty-proxy.ts'
import { type HearthOptions, startHearth, type TestHearth } from './hearth.ts'

/** Servers that trust one certificate authority, and reach each other as `localhost:PORT`. */
export type TestFederation = {
  authority: TestAuthority
  /**
   * Starts one more Hearth; its `serverName` is `localhost:PORT` (or another host of this machine's), its `url` for
   * clients is another port. Unless a name or a host is given, a proxy behind that name holds what passes against the
   * specification.
   */
  hearth(options?: HearthOptions & { host?: string }): Promise<TestHearth>
  /** Calls this when all ends; what was added last goes first. */
  onDispose(end: () => Promise<void> | void): void
  /**
   * Ends all servers and removes their data. Throws when any of what was to be called throws, after all has been
   * called.
   */
  dispose(): Promise<void>
}

/** Starts as many Hearths as wanted, which federate with one another. */
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
  { host = 'localhost', ...options }: HearthOptions & { host?: string },
): Promise<HearthOptions> {
  const port = await freePort()
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
