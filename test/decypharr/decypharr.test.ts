/** The gateway over the real Decypharr: `npm run test:decypharr`. `-- -t NAME` runs the scenarios of that name. */
import { afterAll } from 'vitest';
import { printTable } from './report.ts';
import { containerScenarios } from './scenarios/container.ts';
import { costScenarios } from './scenarios/costs.ts';
import { endingScenarios } from './scenarios/endings.ts';
import { libraryScenarios } from './scenarios/library.ts';
import { troubleScenarios } from './scenarios/troubles.ts';
import { whatIsMissing } from './settings.ts';

const missing = whatIsMissing();
if (missing !== undefined) throw new Error(missing);

endingScenarios();
containerScenarios();
costScenarios();
troubleScenarios();
libraryScenarios();
afterAll(printTable);
