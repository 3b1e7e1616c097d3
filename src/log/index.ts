export { LineThrottle, ordinaryLines } from './line-throttle.ts';
export { createLogger, logLevels, type Logger, type LogLevel, type LoggerOptions } from './logger.ts';
export { renderName } from './render-name.ts';
