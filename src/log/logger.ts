/** Logs to standard output: one JSON object for each line, or coloured text on a terminal. */
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import pretty from 'pino-pretty';

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export type Logger = PinoLogger;

export interface LoggerOptions {
  /** Where lines go instead of standard output, always as JSON. */
  readonly destination?: DestinationStream;
}

/** Fields that may hold a secret. They are redacted in the first three levels of a log line. */
const secretFields = ['password', 'passphrase', 'secret', 'ntHash', 'sessionKey', 'authorization', 'token'];
const redacted = secretFields.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]);

/** Writes synchronously, so that the last line before the process ends is not lost and no thread of the I/O pool is used. */
export function createLogger(level: LogLevel, { destination }: LoggerOptions = {}): Logger {
  const options = { level, redact: { paths: redacted, censor: '[redacted]' } };
  if (destination) return pino(options, destination);
  if (process.stdout.isTTY) {
    const stream = pretty({
      colorize: true,
      sync: true,
      ignore: 'pid,hostname',
      singleLine: true,
      translateTime: 'SYS:HH:MM:ss.l',
    });
    return pino(options, stream);
  }
  return pino(
    { ...options, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 1, sync: true }),
  );
}
