import type { Letter, MailLanguage } from './compose-mail.ts'

type Renewal = { serverName: string; userId: string; validUntil: number; isExpired: boolean; link: string }

/** Returns the mail with the link that renews an account. */
export function renewalLetter(language: MailLanguage, { validUntil, link, ...renewal }: Renewal): Letter {
  const day = new Date(validUntil).toISOString().slice(0, 10)
  const { subject, what, label } = TEXTS[language]({ ...renewal, day })
  return { subject, parts: [what, { link, label }] }
}

type Texts = (renewal: { serverName: string; userId: string; isExpired: boolean; day: string }) => {
  subject: string
  what: string
  label: string
}

const TEXTS: Record<MailLanguage, Texts> = {
  en: ({ serverName, userId, isExpired, day }) => ({
    subject: isExpired ? `Your account ${userId} has expired` : `Your account ${userId} expires on ${day}`,
    what: `Accounts at ${serverName} are valid for a limited time. ${userId} ${
      isExpired ? `expired on ${day}` : `expires on ${day}`
    }. Open the link to keep it. If you do not need it any more, do nothing.`,
    label: 'Keep my account',
  }),
  'zh-Hans': ({ serverName, userId, isExpired, day }) => ({
    subject: isExpired ? `您的账户 ${userId} 已过期` : `您的账户 ${userId} 将于 ${day} 过期`,
    what: `${serverName} 上的账户有有效期。${userId} ${
      isExpired ? `已于 ${day} 过期` : `将于 ${day} 过期`
    }。打开此链接即可保留账户。如果不再需要，请忽略此邮件。`,
    label: '保留我的账户',
  }),
}
