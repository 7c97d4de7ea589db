import { MatrixError } from '../../core/errors.ts'

/** Errors of the pages only; their texts in every language are in src/api/pages/texts. */

/** 403: a code, or the answer of a passkey, is wrong, too old, or used. */
export function wrongCode(): MatrixError {
  return new MatrixError(403, 'M_WRONG_CODE', 'This code is wrong, or it was used before')
}

export function wrongRecoveryCode(): MatrixError {
  return new MatrixError(403, 'M_WRONG_RECOVERY_CODE', 'This recovery code is wrong, or it was used before')
}

export function wrongPasskey(): MatrixError {
  return new MatrixError(403, 'M_WRONG_PASSKEY', 'The passkey was not accepted')
}

/** 404: the passkey or the authenticator app was removed, or its set-up was not begun. */
export function noSuchFactor(): MatrixError {
  return new MatrixError(404, 'M_NO_SUCH_FACTOR', 'This second factor does not exist any more')
}

export function secondFactorsAreOff(): MatrixError {
  return new MatrixError(403, 'M_SECOND_FACTORS_OFF', 'This server does not use second factors')
}

export function secondFactorIsRequired(): MatrixError {
  return new MatrixError(403, 'M_SECOND_FACTOR_REQUIRED', 'This server requires a second factor')
}

export function tooManyPasskeys(): MatrixError {
  return new MatrixError(403, 'M_TOO_MANY_PASSKEYS', 'The account has too many passkeys')
}

export function passkeyIsKnown(): MatrixError {
  return new MatrixError(403, 'M_PASSKEY_KNOWN', 'This passkey is registered already')
}

export function passkeysNeedTls(): MatrixError {
  return new MatrixError(403, 'M_PASSKEYS_NEED_TLS', 'Passkeys need a server with a host name and TLS')
}
