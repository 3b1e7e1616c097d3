export { TreeError, type TreeErrorCode } from '../source/errors.ts';
