import { describeAttacks } from '../harness/hostile-world.ts'
import { GUESSING_LIMITS } from '../harness/password-guesses.ts'
import { ATTACKS_ON_ADDRESSES } from './attacks-on-addresses.ts'
import { ATTACKS_ON_PASSWORDS } from './attacks-on-passwords.ts'
import { ATTACKS_ON_SESSIONS } from './attacks-on-sessions.ts'

describeAttacks('accounts', [...ATTACKS_ON_PASSWORDS, ...ATTACKS_ON_ADDRESSES, ...ATTACKS_ON_SESSIONS], {
  rate_limits: GUESSING_LIMITS,
})
