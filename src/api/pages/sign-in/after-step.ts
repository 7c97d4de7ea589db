import type { StepTaken } from '../../../services/sign-in/sign-in-steps.ts'
import { SECOND_FACTOR_PATH, withContinue } from '../own-path.ts'
import { type Redirect, redirectTo } from '../page.ts'

/** Where a sign-in leads if nothing else was wanted. */
const START = '/account'

/** Leads on after a step of a sign-in: to the second, to the set-up of a second factor, or to what it was for. */
export function afterStep({ next, cookie }: StepTaken, on: string | undefined): Redirect {
  if (next === 'second factor') return redirectTo(withContinue('/login/second-factor', on), cookie)
  if (next === 'set up second factor') return redirectTo(withContinue(SECOND_FACTOR_PATH, on), cookie)
  return redirectTo(on ?? START, cookie)
}
