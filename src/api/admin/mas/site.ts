import { HEARTH_VERSION } from '../../../infra/hearth-version.ts'
import { captchaStage } from '../../../services/users/captcha.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { mas, masRoute } from './json-api.ts'

/** The web tools decide by it which actions they offer. */
const getSiteConfig = masRoute({
  method: 'GET',
  path: mas('/site-config'),
  handle(_call, { config, serverName }) {
    const hasPasswords = config.sign_in.passwords !== 'disabled'
    const hasMail = config.email.smtp_url !== undefined
    const { enabled, requires_email, requires_token } = config.registration
    return {
      server_name: serverName,
      password_login_enabled: hasPasswords,
      password_registration_enabled: enabled && hasPasswords,
      password_registration_email_required: requires_email,
      password_registration_token_required: requires_token,
      registration_token_required: requires_token,
      email_change_allowed: hasMail,
      displayname_change_allowed: true,
      password_change_allowed: hasPasswords,
      account_recovery_allowed: hasPasswords && hasMail,
      account_deactivation_allowed: true,
      captcha_enabled: captchaStage(config) !== undefined,
      // Hearth judges passwords by their length alone.
      minimum_password_complexity: 0,
    }
  },
})

const getVersion = masRoute({
  method: 'GET',
  path: mas('/version'),
  handle: () => ({ version: HEARTH_VERSION }),
})

export const siteEndpoints: readonly AnyEndpoint[] = [getSiteConfig, getVersion]
