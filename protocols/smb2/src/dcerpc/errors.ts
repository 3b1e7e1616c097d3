/** Data on a pipe that cannot be answered with a fault. It ends the association: later calls throw too. */
export class DceRpcError extends Error {
  override readonly name = 'DceRpcError';
}

/** Status of a fault PDU ([C706] appendix E, [MS-ERREF] 2.2). */
export const FaultStatus = {
  BAD_STUB_DATA: 0x000006f7,
  OUT_OF_MEMORY: 0x1c00001b,
  OP_RANGE: 0x1c010002,
  UNKNOWN_INTERFACE: 0x1c010003,
  PROTOCOL: 0x1c01000b,
} as const;

/** A call fails with a fault. The association continues. */
export class FaultError extends Error {
  override readonly name = 'FaultError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
