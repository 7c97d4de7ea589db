import type { RequestListener } from 'node:http'
import { type AttackerSite, startAttackerSite } from './attacker-site.ts'
import type { TestFederation } from './federation.ts'
import type { HearthOptions } from './hearth.ts'
import type { HostileWorld } from './hostile-world.ts'
import { type LocalService, startLocalService } from './local-service.ts'
import { v1 } from './rooms.ts'
import { type ScriptedResolver, startScriptedResolver } from './scripted-resolver.ts'

/**
 * The surroundings of a homeserver that previews hostile pages, from `startPageWorld`. `service`: the target of attacks
 * on private addresses.
 */
export const pageWorld = {} as { resolver: ScriptedResolver; site: AttackerSite; service: LocalService }

/** Starts the surroundings, and returns options for processes that cannot reach private addresses by previews. */
export async function startPageWorld(federation: TestFederation): Promise<HearthOptions> {
  const resolver = await startScriptedResolver()
  federation.onDispose(() => resolver.stop())
  const site = await startAttackerSite()
  federation.onDispose(() => site.close())
  const service = await startLocalService()
  federation.onDispose(() => service.stop())
  Object.assign(pageWorld, { resolver, site, service })
  return {
    nodeArguments: resolver.nodeArguments,
    config: {
      url_previews: {
        allow_private_addresses: false,
        timeout: '2s',
        max_concurrent: 20,
        max_concurrent_per_user: PAGES_PER_USER,
        max_image_size: '1M',
        deny: ['denied.public.test', 'bücher.public.test'],
      },
    },
  }
}

/** Pages that each process fetches concurrently for one user. */
export const PAGES_PER_USER = 4
/** The response to every failure. */
export const UNAVAILABLE = { errcode: 'M_UNKNOWN', error: 'The page could not be fetched. Try again later.' }

/** Asks as Alice. */
export async function previewPage({ url, alice }: HostileWorld, page: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}${v1}/media/preview_url?url=${encodeURIComponent(page)}`, {
    headers: { Authorization: `Bearer ${alice.accessToken}`, ...headers },
  })
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  return { status: response.status, body: (await response.json()) as any }
}

export const redirectTo =
  (location: string): RequestListener =>
  (_, response) =>
    void response.writeHead(302, { location: location.replace(/[^!-~]+/g, encodeURIComponent) }).end()
export const htmlPage =
  (text: string): RequestListener =>
  (_, response) =>
    void response.writeHead(200, { 'content-type': 'text/html' }).end(text)
export const og = (name: string, content: string) => `<meta property="og:${name}" content="${content}">`
export const oembedLink = (href: string) => `<link rel="alternate" type="application/json+oembed" href="${href}">`
export const refresh = (target: string) => `<meta http-equiv="refresh" content="0;url=${target}">`
