import { type Answer, uniqueName } from './client.ts'
import { askOAuth, loginScope } from './oauth-client.ts'
import type { VisitedPage, Visitor } from './page-visitor.ts'

/** https://datatracker.ietf.org/doc/html/rfc8628#section-3.4 */
export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

/** A device that waits until its user approves it. */
export type WaitingDevice = {
  deviceId: string
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
  /** Asks for the tokens. `more`: other parameters. */
  poll(more?: Record<string, string>): Promise<Answer>
}

/** Registers a client that can use the device grant, and returns its id. */
export async function registerDeviceClient(url: string, more: Record<string, unknown> = {}): Promise<string> {
  const metadata = {
    client_uri: 'https://tv.example/',
    client_name: 'Television',
    grant_types: [DEVICE_GRANT, 'refresh_token'],
    token_endpoint_auth_method: 'none',
    ...more,
  }
  const { status, body } = await askOAuth(url, '/oauth2/register', { json: metadata })
  if (status !== 201) throw new Error(`registering a client: ${status} ${JSON.stringify(body)}`)
  return body.client_id
}

/** Starts a grant, as a device does. */
export async function startDevice(
  url: string,
  clientId: string,
  deviceId = uniqueName('tv').toUpperCase(),
): Promise<WaitingDevice> {
  const form = { client_id: clientId, scope: loginScope(deviceId) }
  const { status, body } = await askOAuth(url, '/oauth2/device_authorization', { form })
  if (status !== 200) throw new Error(`starting a device grant: ${status} ${JSON.stringify(body)}`)
  const poll = (more: Record<string, string> = {}) => {
    const asked = { grant_type: DEVICE_GRANT, device_code: body.device_code, client_id: clientId, ...more }
    return askOAuth(url, '/oauth2/token', { form: asked })
  }
  return { ...body, deviceId, poll }
}

/** Decides on a device in the browser of a user who is signed in. */
export async function decide(
  visitor: Visitor,
  { user_code }: Pick<WaitingDevice, 'user_code'>,
  decision: 'approve' | 'refuse',
): Promise<VisitedPage> {
  const page = await visitor.open(`/device?user_code=${encodeURIComponent(user_code)}`)
  return visitor.submit(page, {}, { do: decision })
}
