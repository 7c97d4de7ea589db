import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import { effectiveRuleset } from '../../../core/push-rules/effective-ruleset.ts'
import type { PushRuleset } from '../../../core/push-rules/push-rule.ts'
import type { PushRuleOverlay } from '../../../core/push-rules/rule-schema.ts'
import { loadPushRuleOverlay, storePushRuleOverlay } from '../../../storage/push/push-rules.ts'
import { lockUser } from '../../../storage/users/users.ts'

/** Returns all push rules of a user: the defaults with the user's changes. */
export async function pushRulesOf(app: Pick<App, 'database'>, userId: UserId): Promise<PushRuleset> {
  return effectiveRuleset(userId, await loadPushRuleOverlay(app.database, userId))
}

/** Changes a user's push rules by a function of core/push-rules/edit-rules.ts. Throws what that function throws. */
export async function changePushRules(
  app: Pick<App, 'database'>,
  userId: UserId,
  change: (overlay: PushRuleOverlay) => PushRuleOverlay,
): Promise<void> {
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    await storePushRuleOverlay(tx, userId, change(await loadPushRuleOverlay(tx, userId)))
  })
}
