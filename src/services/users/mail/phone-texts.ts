import type { MailLanguage } from './compose-mail.ts'
import type { ProofPurpose } from './email-proof-texts.ts'

type Texts = {
  code(name: string, code: string): string
  refusal: { taken(name: string): string; unknown(name: string): string }
}

/** Returns the text message with a code. `name`: of this service. */
export function codeMessage(language: MailLanguage, name: string, code: string): string {
  return TEXTS[language].code(name, code)
}

/** Returns the text message to a number that cannot be used. The client gets no error, which would reveal accounts. */
export function phoneRefusal(language: MailLanguage, purpose: ProofPurpose, name: string): string {
  const { refusal } = TEXTS[language]
  return purpose === 'password' ? refusal.unknown(name) : refusal.taken(name)
}

const TEXTS: Record<MailLanguage, Texts> = {
  en: {
    code: (name, code) => `${code} is your code for ${name}. Do not tell it to anybody.`,
    refusal: {
      taken: (name) => `This number belongs to an account at ${name} already. Sign in to that account.`,
      unknown: (name) => `No account at ${name} has this number.`,
    },
  },
  'zh-Hans': {
    code: (name, code) => `${code} 是您在 ${name} 的验证码。请勿告诉任何人。`,
    refusal: {
      taken: (name) => `此号码已属于 ${name} 上的一个账户。请登录该账户。`,
      unknown: (name) => `${name} 上没有账户使用此号码。`,
    },
  },
}
