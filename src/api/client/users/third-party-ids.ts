import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError, MissingParamError } from '../../../core/errors.ts'
import { requestEmailProof, type ThreepidCredentials } from '../../../services/users/email-proof.ts'
import type { ProofPurpose } from '../../../services/users/mail/email-proof-texts.ts'
import { addThreepid, removeThreepid } from '../../../services/users/third-party-ids.ts'
import type { AuthData } from '../../../services/users/uia-stages.ts'
import { loadThreepids } from '../../../storage/users/threepids.ts'
import { v3 } from '../../http/client-paths.ts'
import { emailAddress } from '../../http/fields.ts'
import { type AnyEndpoint, route, type Session } from '../../http/route.ts'
import { authData } from './auth-data.ts'
import { clientSecret } from './client-secret.ts'
import { withPassword } from './password-proof.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3account3pid */
const getThirdPartyIds = route({
  method: 'GET',
  path: v3('/account/3pid'),
  auth: 'user',
  async handle({ session }, app) {
    const threepids = await loadThreepids(app.database, session.userId)
    return {
      threepids: threepids.map(({ medium, address, validated_ts, added_ts }) => ({
        medium,
        address,
        validated_at: validated_ts,
        added_at: added_ts,
      })),
    }
  },
})

const sessionId = z.string().max(255)

type MaybeCredentials = { [Key in keyof ThreepidCredentials]?: string | undefined }

function credentialsOf({ sid, client_secret }: MaybeCredentials): ThreepidCredentials {
  if (sid === undefined) throw new MissingParamError('sid: it is needed')
  if (client_secret === undefined) throw new MissingParamError('client_secret: it is needed')
  return { sid, client_secret }
}

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidadd */
const postThirdPartyIdAdd = route({
  method: 'POST',
  path: v3('/account/3pid/add'),
  auth: 'user',
  onAccountPage: true,
  suspendedUsers: true,
  rateLimit: 'login',
  body: z.object({ auth: authData.optional(), sid: sessionId.optional(), client_secret: clientSecret.optional() }),
  handle: ({ session, body: { auth, ...body } }, app) =>
    add(app, session, { operation: 'POST /account/3pid/add', auth, body }),
})

function add(
  app: App,
  session: Session,
  request: { operation: string; auth: AuthData | undefined; body: MaybeCredentials },
): Promise<object> {
  if (app.config.phone.gateway_url === undefined) requireMailer(app)
  return withPassword(app, session, {
    ...request,
    check: (wanted) => void credentialsOf(wanted),
    async perform(wanted) {
      await addThreepid(app, session.userId, credentialsOf(wanted))
      return {}
    },
  })
}

const oldCredentials = z.object({ sid: sessionId, client_secret: clientSecret }).optional()

/**
 * The deprecated way to add an address, here without identity servers. It requires the password like the current one:
 * otherwise the thief of a token could add an address and reset the password.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pid
 */
const postThirdPartyId = route({
  method: 'POST',
  path: v3('/account/3pid'),
  auth: 'user',
  onAccountPage: true,
  suspendedUsers: true,
  rateLimit: 'login',
  // `threePidCreds` predates the specification.
  body: z.object({ auth: authData.optional(), three_pid_creds: oldCredentials, threePidCreds: oldCredentials }),
  handle({ session, body: { auth, three_pid_creds, threePidCreds } }, app) {
    return add(app, session, { operation: 'POST /account/3pid', auth, body: { ...(three_pid_creds ?? threePidCreds) } })
  },
})

/**
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidbind; always refused, since Hearth
 * does not contact identity servers.
 */
const postThirdPartyIdBind = route({
  method: 'POST',
  path: v3('/account/3pid/bind'),
  auth: 'user',
  onAccountPage: true,
  handle: () => {
    throw new MatrixError(403, 'M_THREEPID_DENIED', 'This server does not use identity servers')
  },
})

/**
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3piddelete, and unbinding. Removing an
 * address that the user does not have succeeds.
 */
const postThirdPartyIdDelete = route({
  method: 'POST',
  path: v3('/account/3pid/delete'),
  auth: 'user',
  onAccountPage: true,
  body: z.object({ address: z.string(), medium: z.string(), id_server: z.string().optional() }),
  async handle({ session, body }, app) {
    await removeThreepid(app, session.userId, body)
    return { id_server_unbind_result: 'no-support' }
  },
})

/**
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidunbind; there is never anything bound.
 */
const postThirdPartyIdUnbind = route({
  method: 'POST',
  path: v3('/account/3pid/unbind'),
  auth: 'user',
  onAccountPage: true,
  body: z.object({ address: z.string(), medium: z.string(), id_server: z.string().optional() }),
  handle: () => ({ id_server_unbind_result: 'no-support' }),
})

const webLink = z
  .url()
  .max(2000)
  .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), 'must begin with https://')

/**
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registeremailrequesttoken and its siblings. If
 * the request has an access token, which is optional, only its user can use the proof.
 */
function requestEmailToken(place: string, purpose: ProofPurpose) {
  return route({
    method: 'POST',
    path: v3(`${place}/email/requestToken`),
    auth: purpose === 'add' ? 'optional' : 'none',
    onAccountPage: true,
    suspendedUsers: true,
    rateLimit: 'login',
    body: z.object({
      email: emailAddress,
      client_secret: clientSecret,
      send_attempt: z.int().min(0),
      next_link: webLink.optional(),
    }),
    async handle({ session, body }, app) {
      requireMailer(app)
      if (purpose === 'register' && !app.config.registration.enabled)
        throw new MatrixError(403, 'M_THREEPID_DENIED', 'Registration is disabled')
      const sid = await requestEmailProof(app, {
        purpose,
        address: body.email,
        userId: session?.userId,
        clientSecret: body.client_secret,
        sendAttempt: body.send_attempt,
        nextLink: body.next_link,
      })
      return { sid }
    },
  })
}

/** Runs before validation: without mail, the details of a request do not matter. */
function requireMailer(app: App): void {
  if (!app.mailer) throw new MatrixError(403, 'M_THREEPID_DENIED', 'This server does not use email addresses')
}

/** Third-party identifiers of users. */
export const thirdPartyIdEndpoints: AnyEndpoint[] = [
  getThirdPartyIds,
  postThirdPartyIdAdd,
  postThirdPartyId,
  postThirdPartyIdBind,
  postThirdPartyIdDelete,
  postThirdPartyIdUnbind,
  requestEmailToken('/register', 'register'),
  requestEmailToken('/account/password', 'password'),
  requestEmailToken('/account/3pid', 'add'),
]
