import { freePort } from './free-port.ts'
import { type HearthOptions, startHearth, type TestHearth } from './hearth.ts'
import { createTestAuthority, type TestAuthority } from './test-ca.ts'

/** Servers that trust one certificate authority, and reach each other as `localhost:PORT`. */
export type TestFederation = {
  authority: TestAuthority
  /** Starts one more Hearth; its `serverName` is `localhost:PORT` (or another host of this machine's), its `url` for clients is another port. */
  hearth(options?: HearthOptions & { host?: string }): Promise<TestHearth>
  /** Calls this when all ends; what was added last goes first. */
  onDispose(end: () => Promise<void> | void): void
  /** Ends all servers and removes their data. */
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
      const server = await startHearth(await federatedOptions(authority, { ...options, ...more }))
      ends.push(() => server.dispose())
      return server
    },
    onDispose: (end) => void ends.push(end),
    async dispose() {
      for (const end of ends.splice(0).reverse()) await end()
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
      federation: { trusted_certificates: [authority.certificate], allow_private_addresses: true },
      ...options.config,
    },
  }
}
