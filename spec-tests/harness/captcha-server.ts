import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A provider of captchas: a script whose button solves one, and the check of solutions, each of which is valid once. */
export type CaptchaServer = {
  scriptUrl: string
  verifyUrl: string
  secret: string
  /** Returns a new solution. */
  solve(): string
  /** How it answers checks from now on. */
  behave(how: 'honestly' | 'not at all' | 'with nonsense' | 'with a redirect'): void
  /** The forms of all checks. */
  checks: URLSearchParams[]
  stop(): Promise<void>
}

const SECRET = 'the secret of the captcha'

/** `field`: the field that its script adds to the form. */
export async function startCaptchaServer(field: string): Promise<CaptchaServer> {
  const open = new Set<string>()
  const checks: URLSearchParams[] = []
  let behaviour: Parameters<CaptchaServer['behave']>[0] = 'honestly'
  let count = 0

  function solve(): string {
    const solution = `solution-${++count}`
    open.add(solution)
    return solution
  }

  const server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      response.setHeader('Content-Type', 'text/javascript')
      response.end(script(field, solve()))
      return
    }
    const form = new URLSearchParams(await text(request))
    checks.push(form)
    if (behaviour === 'not at all') return void response.destroy()
    if (behaviour === 'with a redirect') return void response.writeHead(302, { Location: '/elsewhere' }).end()
    if (behaviour === 'with nonsense') return void response.end('<html>')
    response.setHeader('Content-Type', 'application/json')
    const isOurs = form.get('secret') === SECRET
    const success = isOurs && open.delete(form.get('response') ?? '')
    const fault = isOurs ? 'timeout-or-duplicate' : 'invalid-input-secret'
    response.end(JSON.stringify({ success, ...(!success && { 'error-codes': [fault] }) }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    scriptUrl: `${url}/api.js`,
    verifyUrl: `${url}/siteverify`,
    secret: SECRET,
    solve,
    behave(how) {
      behaviour = how
    },
    checks,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** Returns a provider's script, which turns the element with the site key into a captcha inside the form. */
function script(field: string, solution: string): string {
  return `const place = document.querySelector('[data-sitekey="the-site-key"]')
const button = document.createElement('button')
button.type = 'button'
button.textContent = 'I am human'
button.onclick = () => {
  const input = document.createElement('input')
  Object.assign(input, { type: 'hidden', name: '${field}', value: '${solution}' })
  place.append(input)
  button.textContent = 'Solved'
}
place.append(button)`
}
