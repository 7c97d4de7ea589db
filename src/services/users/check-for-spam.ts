import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import type { LoginDevice, SignInOrigin } from './device-login.ts'

type Checking = Pick<App, 'spamChecks'>

/** Has a sign-in checked, after the user has proved who they are. Throws as SpamChecks. */
export async function checkSignIn(
  { spamChecks }: Checking,
  { userId, device, from, provider }: { userId: UserId; provider?: string } & SignInPlace,
): Promise<void> {
  await spamChecks?.check('check_login_for_spam', () => ({
    user_id: userId,
    device_id: device?.deviceId ?? null,
    initial_display_name: device?.displayName ?? null,
    request_info: requestInfo(from ?? device?.from),
    auth_provider_id: provider ?? null,
  }))
}

type SignInPlace = { device?: LoginDevice; from?: SignInOrigin }

/** An account that is about to be registered; `provider`: the identity provider that vouches for the person. */
type Registering = { localpart: string | undefined; email: string | undefined; provider?: string }

/** Has a registration checked. Throws as SpamChecks. */
export async function checkRegistration(
  { spamChecks }: Checking,
  { localpart, email, provider }: Registering,
): Promise<void> {
  await spamChecks?.check('check_registration_for_spam', () => ({
    email_threepid: email === undefined ? null : { medium: 'email', address: email },
    username: localpart ?? null,
    auth_provider_id: provider ?? null,
  }))
}

/** Clients and their addresses, as Synapse names them. */
function requestInfo(from: SignInOrigin | undefined): [string | null, string][] {
  return from ? [[from.userAgent ?? null, from.ip]] : []
}
