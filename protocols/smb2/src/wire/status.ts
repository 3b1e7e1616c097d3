export type NtStatus = number;
