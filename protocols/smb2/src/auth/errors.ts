/** NTSTATUS values of a failed authentication ([MS-ERREF] 2.3.1). */
export const AuthStatus = {
  INVALID_PARAMETER: 0xc000000d,
  LOGON_FAILURE: 0xc000006d,
} as const;

/** Authentication failed; the exchange is over. The message is for the log, never for the client. */
export class AuthError extends Error {
  override readonly name = 'AuthError';
  /** STATUS_LOGON_FAILURE or STATUS_INVALID_PARAMETER. */
  readonly status: number;
  /** The user name that the client sent, if it got that far. */
  readonly userName: string | undefined;

  constructor(status: number, message: string, userName?: string) {
    super(message);
    this.status = status;
    this.userName = userName;
  }
}

export const malformed = (message: string): AuthError => new AuthError(AuthStatus.INVALID_PARAMETER, message);
export const refused = (message: string, userName?: string): AuthError =>
  new AuthError(AuthStatus.LOGON_FAILURE, message, userName);
