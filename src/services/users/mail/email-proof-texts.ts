import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'

/** The purpose of verifying an address: add it to an account, register, or reset a password. */
export type ProofPurpose = 'add' | 'register' | 'password'

/** The texts of a mail. `link`: the label of the verification link; absent in mails that only inform. */
export type MailTexts = { subject: string; why: string; link?: string; otherwise: string }

const DO_NOTHING = 'If it was not you, do nothing.'

/** Returns the texts of a mail with a verification link. `userId`: the account, if known. */
export function proofMailTexts(
  { serverName }: Pick<App, 'serverName'>,
  purpose: ProofPurpose,
  userId: UserId | undefined,
): MailTexts {
  const account = accountOf(serverName, userId)
  if (purpose === 'register') {
    return {
      subject: `Confirm your address for a new account at ${serverName}`,
      why: `Someone, most likely you, is registering an account at ${serverName} with this address. If it was you, open the link within an hour.`,
      link: 'Use this address for my new account',
      otherwise: DO_NOTHING,
    }
  }
  if (purpose === 'add') {
    return {
      subject: `Add your address to ${account}`,
      why: `Someone, most likely you, wants to add this address to ${account}. If it was you, open the link within an hour.`,
      link: `Add this address to ${account}`,
      otherwise: `${DO_NOTHING} With this address, the password of that account can be reset.`,
    }
  }
  return {
    subject: `Set a new password for ${account}`,
    why: `Someone, most likely you, has forgotten the password of ${account}. If it was you, open the link within an hour.`,
    link: `Let me set a new password for ${account}`,
    otherwise: 'If it was not you, do nothing: the password stays as it is.',
  }
}

/**
 * Returns the texts of the mail to an address that cannot be used. The client gets no error, which would reveal who has
 * an account.
 */
export function refusalMailTexts(
  { serverName }: Pick<App, 'serverName'>,
  purpose: ProofPurpose,
  owner: UserId | undefined,
): MailTexts {
  if (purpose === 'password') {
    return {
      subject: `No account at ${serverName} has this address`,
      why: `Someone, most likely you, wants to set a new password at ${serverName} for the account with this address. No account has it. If it was you: your account has another address, or none. Try another address, or ask the administrators of ${serverName}.`,
      otherwise: DO_NOTHING,
    }
  }
  const wish = purpose === 'register' ? 'register an account with this address' : 'add this address to an account'
  return {
    subject: `Your address at ${serverName}`,
    why: `Someone, most likely you, wants to ${wish} at ${serverName}. It belongs to an account already: ${owner}. If it was you, log in to that account. If you have forgotten its password, let your client send you a link to set a new one.`,
    otherwise: DO_NOTHING,
  }
}

/** Returns the texts of the page behind the link: its question, its button, and the confirmation. */
export function proofPageTexts(
  { serverName }: Pick<App, 'serverName'>,
  purpose: ProofPurpose,
  userId: UserId | undefined,
): { title: string; effect: string; button: string; done: string } {
  const account = accountOf(serverName, userId)
  if (purpose === 'register') {
    return {
      title: 'Confirm your address',
      effect: `is the address of a new account that someone is registering at ${serverName}.`,
      button: 'Yes, it is for my new account',
      done: 'Your address is confirmed. Go back to your client to finish your registration.',
    }
  }
  if (purpose === 'add') {
    return {
      title: 'Add your address',
      effect: `is the address that someone wants to add to ${account}.`,
      button: `Yes, add it to ${account}`,
      done: 'Your address is confirmed. Go back to your client to add it.',
    }
  }
  return {
    title: 'Set a new password',
    effect: `is the address of ${account}, for which someone wants to set a new password.`,
    button: 'Yes, let me set a new password',
    done: 'Go back to your client to set the new password.',
  }
}

function accountOf(serverName: string, userId: UserId | undefined): string {
  return userId ?? `an account at ${serverName}`
}
