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
    empty: 'Enter your user name and your password.',
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
