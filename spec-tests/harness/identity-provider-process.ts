import { decodeProtectedHeader, generateKeyPair, type JWTHeaderParameters, SignJWT } from 'jose'
import { type KoaContextWithOIDC, Provider } from 'oidc-provider'

/** The npm package oidc-provider in a process of its own. Started by identity-provider.ts with its settings as JSON. */
type Settings = { port: number; issuer: string; clients: object[]; key: object }
const { port, issuer, clients, key } = JSON.parse(process.argv[2]!) as Settings

const people = new Map<string, Record<string, unknown>>()
const control = { fault: '', clockMs: 0 }
const realNow = Date.now
Date.now = () => realNow() + control.clockMs

const wrongKeys = await generateKeyPair('RS256', { extractable: true })

const provider = new Provider(issuer, {
  clients: clients as never,
  jwks: { keys: [key] } as never,
  cookies: { keys: ['of these tests'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username', 'name', 'groups'] },
  features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
  ttl: { Interaction: 600, Session: 600, Grant: 600, IdToken: 300, AccessToken: 300, AuthorizationCode: 60 },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ ...people.get(sub), sub }) }),
  // By default, the provider sends back-channel logouts to public addresses only.
  fetch: (url, { dispatcher: _, ...options }: RequestInit & { dispatcher?: unknown } = {}) => fetch(url, options),
  // Nobody is asked whether they consent.
  async loadExistingGrant(context) {
    const grant = new provider.Grant({
      clientId: context.oidc.client!.clientId,
      accountId: context.oidc.session!.accountId!,
    })
    grant.addOIDCScope('openid profile email')
    await grant.save()
    return grant
  },
})

provider.use(async (context, next) => {
  if (context.path === '/control') {
    Object.assign(control, JSON.parse(await bodyOf(context.req)))
    context.body = 'ok'
    return
  }
  if (context.path.startsWith('/interaction/')) return interact(context as never)
  const faults: Record<string, string> = {
    '/.well-known/openid-configuration': 'discovery',
    '/token': 'token',
    '/me': 'userinfo',
    '/jwks': 'keys',
  }
  if (control.fault !== '' && faults[context.path] === control.fault) {
    context.status = 503
    context.body = 'out of order'
    return
  }
  await next()
  if (context.path === '/token' && control.fault === 'forged') await forge(context.body as Record<string, unknown>)
  if (context.path === '/me' && control.fault === 'other person')
    (context.body as { sub: string }).sub = 'somebody else'
})

/** Serves a sign-in page that believes any name. */
async function interact(context: KoaContextWithOIDC): Promise<void> {
  if (context.method === 'GET') {
    context.body = '<form method="post"><input name="sub"><input name="claims"><button>Sign in</button></form>'
    return
  }
  const form = new URLSearchParams(await bodyOf(context.req))
  const sub = form.get('sub')
  if (sub !== null) people.set(sub, JSON.parse(form.get('claims') ?? '{}'))
  const result = sub === null ? { error: 'access_denied' } : { login: { accountId: sub } }
  const to = await provider.interactionResult(context.req, context.res, result, { mergeWithLastSubmission: false })
  context.status = 303
  context.redirect(to)
}

/** Signs an ID token again, with a key that the provider does not publish. */
async function forge(body: Record<string, unknown>): Promise<void> {
  const [, payload] = String(body.id_token).split('.')
  const claims = JSON.parse(Buffer.from(payload!, 'base64url').toString())
  body.id_token = await new SignJWT(claims)
    .setProtectedHeader(decodeProtectedHeader(String(body.id_token)) as JWTHeaderParameters)
    .sign(wrongKeys.privateKey)
}

async function bodyOf(request: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

provider.listen(port, '127.0.0.1')
