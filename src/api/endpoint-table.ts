import { readdirSync } from 'node:fs'
import { ENDPOINTS } from './endpoints.ts'
import { getHealth } from './health.ts'
import type { AnyEndpoint } from './http/route.ts'

const TITLES: Record<keyof typeof ENDPOINTS, string> = {
  client: 'Client-server API',
  federation: 'Server-server API',
  media: 'Media',
  admin: 'Administration',
  metrics: 'Metrics',
}

const HEADER = `# Endpoints

Generated from the route declarations in \`src/api\`. Do not edit it by hand; run:

\`\`\`sh
npm run --silent hearth list-endpoints > docs/endpoints.md
\`\`\`

| Authentication | Accepts |
|---|---|
| none | every request |
| optional | a request without an access token, or with a valid one |
| user | an access token of a user |
| admin | an access token of a server administrator |
| appservice | an access token of an application service |
| server | a request signed by another server |

*Guests*, *locked* and *suspended* say that these users may call the endpoint too; suspended users may always call GET.
*Appservices* says that an application service may call it with its own token. *Not by OAuth*: clients that sign in by
OAuth 2.0 are refused, and lead their users to the account page.

The rate limit is the category of \`rate_limits\` in [config.example.yaml](../config.example.yaml). The category is the
first one that a request takes from; some requests take from others too. GET endpoints also answer HEAD.`

/** Returns docs/endpoints.md: a Markdown table of all endpoints for each part of the API that a listener can serve. */
export async function renderEndpointTable(): Promise<string> {
  const files = await findDeclarations()
  const parts = Object.entries(ENDPOINTS) as [keyof typeof ENDPOINTS, readonly AnyEndpoint[]][]
  return `${[
    HEADER,
    section('On every listener', '', [getHealth], files),
    ...parts.map(([part, endpoints]) =>
      section(TITLES[part], `On listeners that serve \`${part}\`.\n\n`, endpoints, files),
    ),
  ].join('\n\n')}\n`
}

function section(
  title: string,
  note: string,
  endpoints: readonly AnyEndpoint[],
  files: ReadonlyMap<unknown, string>,
): string {
  const rows = [...new Set(endpoints)]
    .map((endpoint) => ({ endpoint, paths: [endpoint.path].flat() as string[] }))
    .sort((a, b) => order(a.paths[0]!, b.paths[0]!) || order(a.endpoint.method, b.endpoint.method))
    .map(({ endpoint, paths }) => row(endpoint, paths, files.get(endpoint)))
  return [
    `## ${title}\n\n${note}| Method | Path | Authentication | Rate limit | Declared in |`,
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

function row(endpoint: AnyEndpoint, paths: readonly string[], file: string | undefined): string {
  if (file === undefined) throw new Error(`No file in src/api exports the endpoint ${endpoint.method} ${paths[0]}`)
  const cells = [
    endpoint.method,
    paths.map((path) => `\`${path}\``).join('<br>'),
    [endpoint.auth, ...admitted(endpoint)].join(', '),
    rateLimitOf(endpoint),
    `\`src/api/${file}\``,
  ]
  return `| ${cells.join(' | ')} |`
}

/** Lists the other callers that an endpoint admits. */
function admitted(endpoint: AnyEndpoint): string[] {
  const { auth, method, guests, lockedUsers, suspendedUsers, appservices, onAccountPage } = endpoint
  const needsUser = auth === 'user' || auth === 'admin'
  return [
    ...(needsUser && guests ? ['guests'] : []),
    ...(needsUser && lockedUsers ? ['locked'] : []),
    ...(needsUser && method !== 'GET' && suspendedUsers === true ? ['suspended'] : []),
    ...(suspendedUsers === 'in the notices room' ? ['suspended in the notices room'] : []),
    ...(appservices ? ['appservices'] : []),
    ...(onAccountPage ? ['not by OAuth'] : []),
  ]
}

function rateLimitOf({ auth, rateLimit }: AnyEndpoint): string {
  if (auth === 'server') return 'federation'
  return rateLimit ?? 'default'
}

/**
 * Finds the file in src/api of each endpoint: the one that exports it, or the one that exports the shortest list with
 * it.
 */
async function findDeclarations(): Promise<ReadonlyMap<unknown, string>> {
  const found = new Map<unknown, { file: string; siblings: number }>()
  for (const file of sourceFiles()) {
    const exported: unknown[] = Object.values(await import(new URL(file, import.meta.url).href))
    for (const value of exported) {
      const endpoints = Array.isArray(value) ? value : [value]
      const siblings = Array.isArray(value) ? value.length : 0
      for (const endpoint of endpoints) {
        if (siblings < (found.get(endpoint)?.siblings ?? Number.POSITIVE_INFINITY)) {
          found.set(endpoint, { file, siblings })
        }
      }
    }
  }
  return new Map([...found].map(([endpoint, { file }]) => [endpoint, file]))
}

function sourceFiles(): string[] {
  const names = readdirSync(new URL('.', import.meta.url), { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.ts') && !/\.test\.ts$|(^|\/)test-[^/]*$/.test(name)).sort()
}

/** Compares by code units, so that the table is the same in every locale. */
function order(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
