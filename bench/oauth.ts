import { ask, registerUser, type TestUser } from '../spec-tests/harness/client.ts'
import { startHearth, type TestHearth } from '../spec-tests/harness/hearth.ts'
import {
  askOAuth,
  authorization,
  exchange,
  type OAuthTestClient,
  type OAuthTokens,
  openConsent,
  refreshOAuth,
  registerClient,
  replyOf,
  signInByOAuth,
  webClient,
} from '../spec-tests/harness/oauth-client.ts'
import { newVisitor, signIn } from '../spec-tests/harness/page-visitor.ts'
import { startPostgres } from '../testing/postgres.ts'
import { cpuMilliseconds, residentMiB } from './cpu-time.ts'
import { inParallel, measure, type Target } from './measure.ts'

/**
 * Measures sign-in by OAuth 2.0: sign-ins and refreshes, requests with a token of OAuth beside those with a token of
 * /login, and the start of a server with many registered clients: `node bench/oauth.ts [clients]`, by default 100000.
 */
const clients = Number(process.argv[2] ?? 100_000)
const ROUNDS = 10
const REQUESTS = 1000
const SESSIONS = 8
const REFRESHES = 60
const SIGN_INS = 200

type Figures = Record<string, number>

/** Alternates, so that other load on the machine affects both equally. Returns CPU milliseconds of one request. */
async function requests(target: Target, user: TestUser, client: OAuthTestClient): Promise<Figures> {
  const { access_token } = await signInByOAuth(target.url, user, { client })
  const tokens = { '/login': user.accessToken, OAuth: access_token }
  const cpu = { '/login': 0, OAuth: 0 }
  for (let round = -1; round < ROUNDS; round++)
    for (const kind of ['/login', 'OAuth'] as const) {
      const request = { method: 'GET', path: '/_matrix/client/v3/account/whoami', token: tokens[kind] }
      const used = await measure(target, () => inParallel(REQUESTS, 8, () => ask(target.url, request)))
      if (round >= 0) cpu[kind] += used.cpu / ROUNDS / REQUESTS
    }
  return { 'request with a token of /login (CPU ms)': cpu['/login'], '… of OAuth (CPU ms)': cpu.OAuth }
}

async function refreshes(target: Target, user: TestUser, client: OAuthTestClient): Promise<Figures> {
  const sessions: OAuthTokens[] = []
  for (let count = 0; count < SESSIONS; count++) sessions.push(await signInByOAuth(target.url, user, { client }))
  const { wall, cpu } = await measure(target, async () => {
    await Promise.all(
      sessions.map(async ({ refresh_token }) => {
        let token = refresh_token
        for (let count = 0; count < REFRESHES; count++)
          token = (await refreshOAuth(target.url, client, token)).body.refresh_token
      }),
    )
  })
  const count = SESSIONS * REFRESHES
  return { 'refreshes in a second': (count * 1000) / wall, '… each (CPU ms)': cpu / count }
}

/** In a browser that is signed in: the password's hash costs what the configuration says. */
async function signIns(target: Target, user: TestUser, client: OAuthTestClient): Promise<Figures> {
  const visitor = newVisitor(target.url)
  await signIn(visitor, user)
  const { wall, cpu } = await measure(target, () =>
    inParallel(SIGN_INS, 8, async () => {
      const attempt = authorization(client)
      const page = await visitor.submit(await openConsent(visitor, user, attempt), {}, { do: 'allow' })
      const { status } = await exchange(target.url, attempt, replyOf(page).get('code')!)
      if (status !== 200) throw new Error(`the exchange answers ${status}`)
    }),
  )
  return { 'sign-ins in a second': (SIGN_INS * 1000) / wall, '… each (CPU ms)  ': cpu / SIGN_INS }
}

async function start(hearth: TestHearth): Promise<{ cpu: number; memory: number }> {
  await hearth.kill('SIGTERM')
  await hearth.restart()
  return { cpu: cpuMilliseconds([hearth.pid]), memory: residentMiB(hearth.pid) }
}

async function manyClients(hearth: TestHearth): Promise<Figures> {
  const before = await start(hearth)
  const target = { url: hearth.url, pids: [hearth.pid] }
  const { cpu } = await measure(target, () =>
    inParallel(clients, 16, async (number) => {
      const json = webClient(`client-${number}.example.org`)
      const { status } = await askOAuth(hearth.url, '/oauth2/register', { json })
      if (status !== 201) throw new Error(`registration ${number} answers ${status}`)
    }),
  )
  const after = await start(hearth)
  return {
    'registration of a client (CPU ms)': cpu / clients,
    'start without clients (CPU ms)': before.cpu,
    [`… with ${clients.toLocaleString('en-US')} clients (CPU ms)`]: after.cpu,
    'memory after the start without clients (MiB)': before.memory,
    [`… with ${clients.toLocaleString('en-US')} clients (MiB)`]: after.memory,
  }
}

async function measureOn(hearth: TestHearth, pids: number[]): Promise<Figures> {
  const target = { url: hearth.url, pids: [hearth.pid, ...pids] }
  const user = await registerUser(hearth.url)
  const client = await registerClient(hearth.url)
  return {
    ...(await requests(target, user, client)),
    ...(await refreshes(target, user, client)),
    ...(await signIns(target, user, client)),
    ...(await manyClients(hearth)),
  }
}

const postgres = await startPostgres()
const onPostgresql = await startHearth({ databaseUrl: await postgres.createDatabase() })
const onPglite = await startHearth()
const columns = {
  PGlite: await measureOn(onPglite, []).finally(() => onPglite.dispose()),
  PostgreSQL: await measureOn(onPostgresql, [postgres.pid]).finally(() => onPostgresql.dispose()),
}
await postgres.stop()
console.log('| | PGlite | PostgreSQL |\n|---|---:|---:|')
for (const [name, value] of Object.entries(columns.PGlite))
  console.log(`| ${name.trim()} | ${value.toPrecision(3)} | ${columns.PostgreSQL[name]!.toPrecision(3)} |`)
process.exit(0)
