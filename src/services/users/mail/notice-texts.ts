import type { Letter, MailLanguage } from './compose-mail.ts'

/** A change of an account of which its user is notified by mail. */
export type AccountNotice =
  | { kind: 'sign_in'; device: string | undefined; client: string | undefined; address: string | undefined }
  | { kind: 'email_added' | 'email_removed'; address: string }
  | { kind: 'phone_added' | 'phone_removed'; number: string }
  | { kind: 'password_changed' }
  | { kind: 'second_factor_added' | 'second_factor_removed'; factor: 'totp' | 'passkey' | 'recovery_codes' }

/** The account, the time of the change (milliseconds since 1970), and the address of the account page. */
export type NoticeContext = { userId: string; at: number; accountPage: string }

type Texts = {
  /** The event: the subject, and the first sentence. */
  told(notice: AccountNotice, userId: string): { subject: string; what: string }
  names: { device: string; client: string; address: string; time: string }
  /** For a sign-in, and for a change. */
  otherwise: { sign_in: string; change: string }
  accountPage: string
}

/** Returns the subject and the parts of a notice. */
export function noticeLetter(
  language: MailLanguage,
  notice: AccountNotice,
  { userId, at, accountPage }: NoticeContext,
): Letter {
  const texts = TEXTS[language]
  const { names } = texts
  const { subject, what } = texts.told(notice, userId)
  const signIn = notice.kind === 'sign_in' ? notice : undefined
  const facts = [
    [names.device, signIn?.device],
    [names.client, signIn?.client],
    [names.address, signIn?.address],
    [names.time, `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`],
  ].flatMap(([name, value]) => (value === undefined ? [] : [[name!, inOneLine(value)] as const]))
  return {
    subject,
    parts: [
      what,
      { facts },
      signIn ? texts.otherwise.sign_in : texts.otherwise.change,
      { link: accountPage, label: texts.accountPage },
    ],
  }
}

const MAX_FACT = 300

/** Clients choose these texts. */
function inOneLine(text: string): string {
  const line = text.replace(/\s/g, ' ')
  return line.length > MAX_FACT ? `${line.slice(0, MAX_FACT)}…` : line
}

const EN: Texts = {
  told(notice, userId) {
    switch (notice.kind) {
      case 'sign_in':
        return { subject: `New sign-in to ${userId}`, what: `Somebody has signed in to your account ${userId}.` }
      case 'email_added':
        return {
          subject: `New address of ${userId}`,
          what: `The e-mail address ${notice.address} was added to your account ${userId}. It can be used to set a new password.`,
        }
      case 'email_removed':
        return {
          subject: `Removed address of ${userId}`,
          what: `The e-mail address ${notice.address} was removed from your account ${userId}.`,
        }
      case 'phone_added':
        return {
          subject: `New phone number of ${userId}`,
          what: `The phone number ${notice.number} was added to your account ${userId}. It can be used to set a new password.`,
        }
      case 'phone_removed':
        return {
          subject: `Removed phone number of ${userId}`,
          what: `The phone number ${notice.number} was removed from your account ${userId}.`,
        }
      case 'password_changed':
        return { subject: `New password of ${userId}`, what: `The password of your account ${userId} was changed.` }
      case 'second_factor_added':
        return {
          subject: `Second factor of ${userId}`,
          what: `${FACTORS_EN[notice.factor]} added to your account ${userId}.`,
        }
      case 'second_factor_removed':
        return {
          subject: `Second factor of ${userId}`,
          what: `${FACTORS_EN[notice.factor]} removed from your account ${userId}.`,
        }
    }
  },
  names: { device: 'Device', client: 'Client', address: 'Network address', time: 'Time' },
  otherwise: {
    sign_in:
      'If it was you, you need not do anything. If it was not you, open the account page, sign that device out and set a new password.',
    change:
      'If it was you, you need not do anything. If it was not you, open the account page and set a new password, or ask the administrators of your server.',
  },
  accountPage: 'Open the account page',
}

const FACTORS_EN = {
  totp: 'An authenticator app was',
  passkey: 'A passkey was',
  recovery_codes: 'Recovery codes were',
} as const

const ZH_HANS: Texts = {
  told(notice, userId) {
    switch (notice.kind) {
      case 'sign_in':
        return { subject: `${userId} 有新的登录`, what: `有人登录了您的账户 ${userId}。` }
      case 'email_added':
        return {
          subject: `${userId} 添加了电子邮箱地址`,
          what: `电子邮箱地址 ${notice.address} 已添加到您的账户 ${userId}，可用于重设密码。`,
        }
      case 'email_removed':
        return {
          subject: `${userId} 移除了电子邮箱地址`,
          what: `电子邮箱地址 ${notice.address} 已从您的账户 ${userId} 中移除。`,
        }
      case 'phone_added':
        return {
          subject: `${userId} 添加了电话号码`,
          what: `电话号码 ${notice.number} 已添加到您的账户 ${userId}，可用于重设密码。`,
        }
      case 'phone_removed':
        return {
          subject: `${userId} 移除了电话号码`,
          what: `电话号码 ${notice.number} 已从您的账户 ${userId} 中移除。`,
        }
      case 'password_changed':
        return { subject: `${userId} 的密码已更改`, what: `您的账户 ${userId} 的密码已更改。` }
      case 'second_factor_added':
        return {
          subject: `${userId} 的第二重验证已更改`,
          what: `${FACTORS_ZH_HANS[notice.factor]}已添加到您的账户 ${userId}。`,
        }
      case 'second_factor_removed':
        return {
          subject: `${userId} 的第二重验证已更改`,
          what: `${FACTORS_ZH_HANS[notice.factor]}已从您的账户 ${userId} 中移除。`,
        }
    }
  },
  names: { device: '设备', client: '客户端', address: '网络地址', time: '时间' },
  otherwise: {
    sign_in: '如果是您本人，则无需任何操作。如果不是，请打开账户页面，将该设备退出登录并设置新密码。',
    change: '如果是您本人，则无需任何操作。如果不是，请打开账户页面设置新密码，或联系服务器管理员。',
  },
  accountPage: '打开账户页面',
}

const FACTORS_ZH_HANS = { totp: '身份验证器应用', passkey: '通行密钥', recovery_codes: '恢复代码' } as const

const TEXTS: Record<MailLanguage, Texts> = { en: EN, 'zh-Hans': ZH_HANS }
