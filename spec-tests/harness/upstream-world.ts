import { expect } from 'vitest'
import { freePort } from '../../testing/free-port.ts'
import { uniqueName } from './client.ts'
import type { TestHearth } from './hearth.ts'
import {
  type IdentityProvider,
  type Person,
  type ProviderBrowser,
  secretOf,
  startIdentityProvider,
} from './identity-provider.ts'
import type { VisitedPage, Visitor } from './page-visitor.ts'
import { startHearths } from './several-hearths.ts'

/** Hearth, and the oidc-provider at which its users sign in. */
export type UpstreamWorld = {
  /** Hearth's URL. */
  url: string
  hearths: readonly TestHearth[]
  provider: IdentityProvider
  /** Leaves Hearth for a provider by the button of the sign-in page; returns the provider's page. */
  leave(visitor: Visitor, id: string, on?: string): Promise<string>
  /** Signs a person in at a provider; returns the page of Hearth to which that leads. */
  signInAt(
    visitor: Visitor,
    id: string,
    how: { person: Person; on?: string; at?: ProviderBrowser },
  ): Promise<VisitedPage>
  dispose(): Promise<void>
}

/**
 * Starts a world whose providers have these keys by ID; each is another client of the same oidc-provider. `processes`:
 * how many Hearths, by default one with the embedded database. `config`: further keys of theirs.
 * `host`: that of the provider.
 */
export async function startUpstreamWorld(
  providers: Readonly<Record<string, object>>,
  { processes = 1, config = {}, host = '127.0.0.1' }: { processes?: number; config?: object; host?: string } = {},
): Promise<UpstreamWorld> {
  const port = await freePort()
  const identity_providers = Object.entries(providers).map(([id, more]) => ({
    kind: 'oidc',
    id,
    name: `The ${id} provider`,
    issuer: `http://${host}:${port}`,
    client_id: id,
    client_secret: secretOf(id),
    ...more,
  }))
  const { url, hearths, dispose } = await startHearths(processes, { identity_providers, ...config })
  const provider = await startIdentityProvider(port, { host, hearthUrl: url, clientIds: Object.keys(providers) })

  async function leave(visitor: Visitor, id: string, on?: string): Promise<string> {
    const login = await visitor.open(`/login${on ? `?continue=${encodeURIComponent(on)}` : ''}`)
    const link = [...login.text.matchAll(/href="([^"]*)"/g)].find(([, href]) => href!.startsWith(`/upstream/${id}/`))
    const page = await visitor.open(link![1]!)
    expect(page.status).toBe(303)
    return page.headers.get('location')!
  }

  return {
    url,
    hearths,
    provider,
    leave,
    async signInAt(visitor, id, { person, on, at = provider.newBrowser() }) {
      const back = await at.signIn(await leave(visitor, id, on), person)
      return visitor.open(back.pathname + back.search)
    },
    async dispose() {
      await provider.kill()
      await dispose()
    },
  }
}

/** Returns a person whom nobody has seen. */
export function newPerson(name = uniqueName(), more: object = {}): Person {
  return { sub: uniqueName('sub'), preferred_username: name, name: `Display of ${name}`, ...more }
}

/** Returns the user who is signed in on a page. */
export function whoIs(page: VisitedPage): string | undefined {
  return /@[a-z0-9._=/+-]+:hearth\.test/.exec(page.text)?.[0]
}
