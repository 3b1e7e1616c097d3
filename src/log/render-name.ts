/** Longest rendered name, in characters. */
const longest = 1024;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Characters that could break a log line or change how it reads: controls, line and paragraph separators, direction
 * marks and invisible characters (Unicode Cc, Cf, Zl, Zp), and the escape character itself.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\]/gu;

function escape(character: string): string {
  const code = character.codePointAt(0)!;
  if (character === '\\') return '\\\\';
  return code < 0x80 ? byteEscape(code) : `\\u{${code.toString(16)}}`;
}

const byteEscape = (byte: number) => `\\x${byte.toString(16).padStart(2, '0')}`;

/** Length of the UTF-8 sequence at `at`; 0 when those bytes are not UTF-8. */
function sequenceLength(bytes: Buffer, at: number): number {
  const lead = bytes[at]!;
  const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  try {
    decoder.decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}

/**
 * Renders a file name or path for people to read. `name` has one character (U+0000..U+00FF) for each byte. UTF-8 is
 * shown as text. Bytes that are not UTF-8, and characters that could forge a log line, are shown as `\xNN` or `\u{N}`.
 * The result has at most 1024 characters, then `…`.
 */
export function renderName(name: string): string {
  const bytes = Buffer.from(name.length > longest * 4 ? name.slice(0, longest * 4) : name, 'latin1');
  let text: string;
  try {
    text = decoder.decode(bytes).replace(unsafe, escape);
  } catch {
    text = '';
    for (let at = 0; at < bytes.length && text.length <= longest;) {
      const length = sequenceLength(bytes, at);
      text +=
        length === 0
          ? byteEscape(bytes[at]!)
          : bytes.toString('utf8', at, at + length).replace(unsafe, escape);
      at += Math.max(1, length);
    }
  }
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
