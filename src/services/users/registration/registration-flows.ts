import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { storeAccountData } from '../../../storage/users/account-data.ts'
import { captchaParams, captchaStage } from '../captcha.ts'
import type { UiaStageType } from '../uia-stages.ts'
import type { UiaFlow, UiaRequest } from '../user-interactive-auth.ts'

/** The results of completed stages. */
export type CompletedStages = Partial<Record<UiaStageType, string>>

/** Returns the registration flows of the configuration. An e-mail address is optional where mail is configured. */
export function registrationFlows(config: App['config']): Required<Pick<UiaRequest, 'flows' | 'params'>> {
  const captcha = captchaStage(config)
  const { registration, email, phone } = config
  const stages: UiaStageType[] = [
    ...(captcha ? [captcha] : []),
    ...(registration.requires_token ? (['m.login.registration_token'] as const) : []),
    ...(registration.terms.length > 0 ? (['m.login.terms'] as const) : []),
  ]
  const emails = optional('m.login.email.identity', email.smtp_url !== undefined, registration.requires_email)
  const phones = optional('m.login.msisdn', phone.gateway_url !== undefined, registration.requires_phone)
  const flows = phones.flatMap((second) => emails.map((first): UiaFlow => [...stages, ...first, ...second]))
  return {
    flows: flows.map((flow) => (flow.length > 0 ? flow : (['m.login.dummy'] as const))),
    params: {
      ...(captcha && { [captcha]: captchaParams(config) }),
      ...(registration.terms.length > 0 && { 'm.login.terms': { policies: policiesOf(registration.terms) } }),
    },
  }
}

/** Returns the ways to go on with a stage: without and with it, as far as possible and permitted. */
function optional(stage: UiaStageType, isPossible: boolean, isRequired: boolean): UiaStageType[][] {
  return [...(isRequired ? [] : [[]]), ...(isPossible ? [[stage]] : [])]
}

/** https://spec.matrix.org/v1.19/client-server-api/#definition-mloginterms-params */
function policiesOf(terms: App['config']['registration']['terms']): Record<string, unknown> {
  const byId = Map.groupBy(terms, ({ id }) => id)
  return Object.fromEntries(
    [...byId].map(([id, translations]) => {
      const languages = translations.map(({ language, name, url }) => [language, { name, url }])
      return [id, { version: translations[0]!.version, ...Object.fromEntries(languages) }]
    }),
  )
}

/**
 * Stores which documents a new user has accepted, in the account data in which clients record those of other services.
 * https://spec.matrix.org/v1.19/identity-service-api/#terms-of-service
 */
export async function noteAcceptedTerms(
  app: Pick<App, 'config'>,
  tx: Tx,
  { userId, completed }: { userId: UserId; completed: CompletedStages },
): Promise<void> {
  if (completed['m.login.terms'] === undefined) return
  const accepted = app.config.registration.terms.map(({ url }) => url)
  await storeAccountData(tx, userId, { roomId: '', type: 'm.accepted_terms', content: canonicalJson({ accepted }) })
}
