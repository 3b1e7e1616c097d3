/** MOUNT v3, RFC 1813 §5 (Appendix I). */
import {
  byteString,
  linkedList,
  list,
  nothing,
  opaque,
  struct,
  uint32,
  unionWithDefault,
  utf8String,
} from '../xdr/codec.ts';

/** dirpath: string<MNTPATHLEN>. Decoded without a bound, so that a longer path gets MNT3ERR_NAMETOOLONG, not GARBAGE_ARGS. */
export const directoryPath = byteString();

/**
 * ```
 * struct mountres3_ok { fhandle3 fhandle; int auth_flavors<>; };
 * union mountres3 switch (mountstat3 fhs_status) { case MNT_OK: mountres3_ok mountinfo; default: void; };
 * ```
 */
export const mountResult = unionWithDefault(
  'status',
  { 0: struct({ handle: opaque(64), flavors: list(uint32) }) },
  nothing,
);

/** `struct mountbody { name ml_hostname; dirpath ml_directory; mountlist ml_next; }` */
export const mountList = linkedList(struct({ hostname: utf8String(), directory: directoryPath }));

/**
 * ```
 * struct groupnode { name gr_name; groups gr_next; };
 * struct exportnode { dirpath ex_dir; groups ex_groups; exports ex_next; };
 * ```
 */
export const exportList = linkedList(struct({ path: utf8String(), groups: linkedList(utf8String()) }));
