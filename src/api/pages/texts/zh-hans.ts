import type { Texts } from './en.ts'

/** The texts of the pages in Simplified Chinese. */
export const zhHans: Texts = {
  language: '简体中文',
  layout: {
    skip: '跳到正文',
    account: '您的账户',
    signOut: '退出登录',
    otherLinks: '其他链接',
    errorTitle: '操作未成功',
    toAccount: '前往您的账户',
  },
  errors: {
    M_LIMIT_EXCEEDED: '尝试次数过多，请稍候再试。',
    M_USER_LOCKED: '此账户已被本服务器的管理员锁定。',
    M_USER_SUSPENDED: '您的账户已被暂停，无法执行此操作。',
    M_UNKNOWN: '服务器未能完成此操作，请稍后再试。',
    M_STALE_FORM: '此表单已过期，或来自其他页面。请返回并刷新页面后重试。',
    M_NO_COOKIES: '您的浏览器没有为此页面保存 Cookie。请允许 Cookie 后重试。',
  },
  signIn: {
    title: (name) => `登录 ${name}`,
    confirmTitle: '确认是您本人',
    confirmHint: (userId) => `您已登录为 ${userId}。请再次登录以继续。`,
    user: '用户名或电子邮箱地址',
    password: '密码',
    submit: '登录',
    wrong: '用户名或密码错误。',
    empty: '请输入用户名和密码。',
  },
  account: {
    signedIn: (userId) => `您已登录为 ${userId}。`,
  },
  signOut: {
    title: '退出登录',
    hint: (userId) => `您在此浏览器中登录为 ${userId}。您的客户端将保持登录状态。`,
    submit: '退出此浏览器',
    done: '您已退出登录',
    doneHint: '您的客户端仍保持登录状态。',
    again: '登录',
  },
}
