import { createHash } from 'node:crypto';

const SHORT = /^[^. ]{1,8}(\.[^. ]{1,3})?$/;
const MADE = /^[A-Z0-9]{0,4}[0-9A-F]{3}~(\.[A-Z0-9]{1,3})?$/i;

/** An 8.3 name ([MS-FSCC] 2.1.5.2.1), made from the name alone: none are kept. */
export function shortName(name: string): string {
  if (name === '' || SHORT.test(name)) return name.toUpperCase();
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 3).toUpperCase();
  const plain = name.toUpperCase().replace(/[^A-Z0-9.]/g, '');
  const [base = '', ...rest] = plain.split('.');
  const extension = rest.at(-1)?.slice(0, 3) ?? '';
  return `${base.slice(0, 4)}${digest}~${extension === '' ? '' : `.${extension}`}`;
}

/** Whether `shortName` may have made it. */
export const isMadeShortName = (name: string): boolean => MADE.test(name);
