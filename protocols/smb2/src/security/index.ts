export { accessCheck, type AccessResult, type Identity } from './access-check.ts';
export { type Ace, AceFlags, AceType, type Acl, allow } from './acl.ts';
export {
  Control,
  decodeDescriptor,
  encodeDescriptor,
  MAX_DESCRIPTOR_BYTES,
  replaceParts,
  type SecurityDescriptor,
  SecurityInformation,
  selectParts,
} from './descriptor.ts';
export { type Creator, inherit, type PosixOwnership, synthesise } from './new-descriptor.ts';
export { FILE_GENERIC_EXECUTE, FILE_GENERIC_READ, FILE_GENERIC_WRITE, mapGeneric } from './rights.ts';
export { decodeSid, encodeSid, type Sid, unixGroupSid, unixUserSid, WellKnownSid } from './sid.ts';
