/** The English texts of the pages; their structure is that of every language. Functions insert values. */
export const en = {
  language: 'English',
  layout: {
    skip: 'Skip to content',
    account: 'Your account',
    signOut: 'Sign out',
    otherLinks: 'Further links',
    errorTitle: 'This did not work',
    toAccount: 'To your account',
  },
  /** By errcode; other errors are shown as they are. */
  errors: {
    M_LIMIT_EXCEEDED: 'Too many attempts. Wait a while and try again.',
    M_CAPTCHA_NEEDED: 'Solve the captcha.',
    M_USER_LOCKED: 'This account has been locked by an administrator of this server.',
    M_USER_SUSPENDED: 'You cannot do this while your account is suspended.',
    M_UNKNOWN: 'The server could not do this. Try again later.',
    M_STALE_FORM: 'This form is too old, or comes from another page. Go back, reload the page, and try again.',
    M_NO_COOKIES: 'Your browser does not keep cookies for this page. Allow them and try again.',
  } as Record<string, string>,
  signIn: {
    title: (name: string) => `Sign in to ${name}`,
    confirmTitle: 'Confirm that it is you',
    confirmHint: (userId: string) => `You are signed in as ${userId}. Sign in again to go on.`,
    user: 'User name or e-mail address',
    password: 'Password',
    submit: 'Sign in',
    wrong: 'The user name or the password is wrong.',
    noAccount: 'Your password is right, but there is no account for you on this server. Ask its administrator.',
    empty: 'Enter your user name and your password.',
  },
  captcha: {
    hint: 'Show that you are human:',
    needsScript: 'This question needs JavaScript. Turn it on for this page, or ask the administrators for an account.',
  },
  /** Pages of authentication stages, for clients that do not show a stage themselves. */
  fallback: {
    title: 'Confirm your identity',
    goOn: 'Continue',
    confirm: 'Confirm',
    password: 'Your password',
    token: 'Your registration token',
    terms: 'To have an account here you need to accept:',
    accept: 'I accept',
    email: 'Your e-mail address',
    noAddress: 'This is not an e-mail address',
    sendLink: 'Send me a link',
    mailSent: 'A mail was sent to you. Open the link in it, then return to this page.',
    linkOpened: 'I have opened the link',
    permit: 'Permit this on',
    yourAccountPage: 'your account page',
    thenReturn: ', then return here.',
    permitted: 'I have permitted it',
    doneTitle: 'Thank you',
    done: 'You can close this page and go back to your client.',
    signedIn: 'You are signed in. You can go back to your client.',
    needsScript: 'This page needs JavaScript.',
  },
  /** The page behind the link in mails that verify an address. */
  confirmEmail: {
    anAccountAt: (serverName: string) => `an account at ${serverName}`,
    register: (_account: string) => ({
      title: 'Confirm your address',
      effect: 'is the address of a new account that someone is registering here.',
      button: 'Yes, it is for my new account',
      done: 'Your address is confirmed. Go back to your client to finish your registration.',
    }),
    add: (account: string) => ({
      title: 'Add your address',
      effect: `is the address that someone wants to add to ${account}.`,
      button: `Yes, add it to ${account}`,
      done: 'Your address is confirmed. Go back to your client to add it.',
    }),
    password: (account: string) => ({
      title: 'Set a new password',
      effect: `is the address of ${account}, for which someone wants to set a new password.`,
      button: 'Yes, let me set a new password',
      done: 'Go back to your client to set the new password.',
    }),
    wasThatYou: 'Was that you?',
    ifNot: 'If not, close this page.',
    doneTitle: 'Your address is confirmed',
    continueTo: (host: string) => `Continue to ${host}`,
  },
  unsubscribe: {
    title: 'Unsubscribe',
    hint: 'This stops mails about unread messages to this address.',
    doneTitle: 'Unsubscribed',
    done: 'You are unsubscribed. Your client can turn these mails on again.',
  },
  account: {
    signedIn: (userId: string) => `You are signed in as ${userId}.`,
  },
  signOut: {
    title: 'Sign out',
    hint: (userId: string) => `You are signed in as ${userId} in this browser. Your clients stay signed in.`,
    submit: 'Sign out of this browser',
    done: 'You are signed out',
    doneHint: 'Your clients stay signed in.',
    again: 'Sign in',
  },
}

/** The texts of one language. */
export type Texts = typeof en
