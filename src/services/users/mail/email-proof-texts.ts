import type { UserId } from '../../../core/ids.ts'
import type { Letter, MailLanguage } from './compose-mail.ts'

/**
 * The purpose of verifying an address: let a client add it to an account, add it at once for the account page, register,
 * or reset a password.
 */
export type ProofPurpose = 'add' | 'account' | 'register' | 'password'

/** The account page and clients have the same texts. */
type ToldPurpose = Exclude<ProofPurpose, 'account'>

function toldPurpose(purpose: ProofPurpose): ToldPurpose {
  return purpose === 'account' ? 'add' : purpose
}

/** The server, and the account, if known. */
export type ProofContext = { serverName: string; userId: UserId | undefined }

type ProofTexts = {
  account(context: ProofContext): string
  /** The mail with a link, by purpose. */
  proof: Record<
    ToldPurpose,
    (names: { serverName: string; account: string }) => {
      subject: string
      why: string
      link: string
      otherwise: string
    }
  >
  /** The mail to an address that cannot be used, which has no link. */
  refusal: Record<
    ToldPurpose,
    (names: { serverName: string; account: string }) => { subject: string; why: string; otherwise: string }
  >
}

/** Returns the mail with a verification link. */
export function proofLetter(
  language: MailLanguage,
  purpose: ProofPurpose,
  { link, ...context }: ProofContext & { link: string },
): Letter {
  const texts = TEXTS[language]
  const names = { serverName: context.serverName, account: texts.account(context) }
  const { subject, why, link: label, otherwise } = texts.proof[toldPurpose(purpose)](names)
  return { subject, parts: [why, { link, label }, otherwise] }
}

/**
 * Returns the mail to an address that cannot be used. The client gets no error, which would reveal who has an account.
 * `userId`: the owner of the address.
 */
export function refusalLetter(language: MailLanguage, purpose: ProofPurpose, context: ProofContext): Letter {
  const texts = TEXTS[language]
  const names = { serverName: context.serverName, account: texts.account(context) }
  const { subject, why, otherwise } = texts.refusal[toldPurpose(purpose)](names)
  return { subject, parts: [why, otherwise] }
}

const DO_NOTHING = 'If it was not you, do nothing.'

const EN: ProofTexts = {
  account: ({ serverName, userId }) => userId ?? `an account at ${serverName}`,
  proof: {
    register: ({ serverName }) => ({
      subject: `Confirm your address for a new account at ${serverName}`,
      why: `Someone, most likely you, is registering an account at ${serverName} with this address. If it was you, open the link within an hour.`,
      link: 'Use this address for my new account',
      otherwise: DO_NOTHING,
    }),
    add: ({ account }) => ({
      subject: `Add your address to ${account}`,
      why: `Someone, most likely you, wants to add this address to ${account}. If it was you, open the link within an hour.`,
      link: `Add this address to ${account}`,
      otherwise: `${DO_NOTHING} With this address, the password of that account can be reset.`,
    }),
    password: ({ account }) => ({
      subject: `Set a new password for ${account}`,
      why: `Someone, most likely you, has forgotten the password of ${account}. If it was you, open the link within an hour.`,
      link: `Let me set a new password for ${account}`,
      otherwise: 'If it was not you, do nothing: the password stays as it is.',
    }),
  },
  refusal: {
    register: (names) => refusalEn(names, 'register an account with this address'),
    add: (names) => refusalEn(names, 'add this address to an account'),
    password: ({ serverName }) => ({
      subject: `No account at ${serverName} has this address`,
      why: `Someone, most likely you, wants to set a new password at ${serverName} for the account with this address. No account has it. If it was you: your account has another address, or none. Try another address, or ask the administrators of ${serverName}.`,
      otherwise: DO_NOTHING,
    }),
  },
}

function refusalEn({ serverName, account }: { serverName: string; account: string }, wish: string) {
  return {
    subject: `Your address at ${serverName}`,
    why: `Someone, most likely you, wants to ${wish} at ${serverName}. It belongs to an account already: ${account}. If it was you, log in to that account. If you have forgotten its password, let your client send you a link to set a new one.`,
    otherwise: DO_NOTHING,
  }
}

const ZH_HANS: ProofTexts = {
  account: ({ serverName, userId }) => userId ?? `${serverName} 上的账户`,
  proof: {
    register: ({ serverName }) => ({
      subject: `确认用于 ${serverName} 新账户的地址`,
      why: `有人（很可能是您）正在使用此地址在 ${serverName} 注册账户。如果是您本人，请在一小时内打开此链接。`,
      link: '将此地址用于我的新账户',
      otherwise: '如果不是您本人，请忽略此邮件。',
    }),
    add: ({ account }) => ({
      subject: `将您的地址添加到 ${account}`,
      why: `有人（很可能是您）想将此地址添加到 ${account}。如果是您本人，请在一小时内打开此链接。`,
      link: `将此地址添加到 ${account}`,
      otherwise: '如果不是您本人，请忽略此邮件。使用此地址可以重设该账户的密码。',
    }),
    password: ({ account }) => ({
      subject: `为 ${account} 设置新密码`,
      why: `有人（很可能是您）忘记了 ${account} 的密码。如果是您本人，请在一小时内打开此链接。`,
      link: `为 ${account} 设置新密码`,
      otherwise: '如果不是您本人，请忽略此邮件：密码保持不变。',
    }),
  },
  refusal: {
    register: (names) => refusalZhHans(names, '使用此地址注册账户'),
    add: (names) => refusalZhHans(names, '将此地址添加到账户'),
    password: ({ serverName }) => ({
      subject: `${serverName} 上没有使用此地址的账户`,
      why: `有人（很可能是您）想为 ${serverName} 上使用此地址的账户设置新密码，但没有账户使用此地址。如果是您本人：您的账户使用其他地址，或者没有地址。请尝试其他地址，或联系 ${serverName} 的管理员。`,
      otherwise: '如果不是您本人，请忽略此邮件。',
    }),
  },
}

function refusalZhHans({ serverName, account }: { serverName: string; account: string }, wish: string) {
  return {
    subject: `您在 ${serverName} 的地址`,
    why: `有人（很可能是您）想在 ${serverName} ${wish}。该地址已属于账户 ${account}。如果是您本人，请登录该账户。如果忘记了密码，请让客户端向您发送设置新密码的链接。`,
    otherwise: '如果不是您本人，请忽略此邮件。',
  }
}

const TEXTS: Record<MailLanguage, ProofTexts> = { en: EN, 'zh-Hans': ZH_HANS }
