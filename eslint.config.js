import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Imports go one way: protocols know nothing of the gateway, the tree nothing of the protocols. */
const restrict = (files, patterns) => ({
  files,
  ignores: ['**/*.test.ts'],
  rules: { 'no-restricted-imports': ['error', { patterns }] },
});
const fs = ['node:fs', 'node:fs/*', 'fs', 'fs/*'];

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', 'coverage/**'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // Knows nothing of `??=`.
      'no-unused-private-class-members': 'off',
      // Indexed access with noUncheckedIndexedAccess makes `!` the honest spelling inside a checked bound.
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        require: 'readonly',
        module: 'readonly',
      },
    },
  },
  restrict(
    ['protocols/*/src/**/*.ts'],
    [
      { group: ['**/../src/**', '@holdfast/*', '@tsmb2/*'], message: 'a protocol package stands alone' },
      { group: [...fs, 'pino', 'prom-client'], message: 'declare a backend or a hook instead' },
    ],
  ),
  restrict(
    ['src/source/**/*.ts'],
    [
      {
        group: ['../tree/*', '../nfs/*', '../smb/*', '../admin/*', '../cli/*', '@holdfast/*', '@tsmb2/*'],
        message: 'the source is the lowest layer',
      },
    ],
  ),
  restrict(
    ['src/tree/**/*.ts'],
    [
      {
        group: [...fs, '../nfs/*', '../smb/*', '../admin/*', '../cli/*', '@holdfast/*', '@tsmb2/*'],
        message: 'the tree knows the source only',
      },
    ],
  ),
  restrict(
    ['src/nfs/**/*.ts'],
    [
      {
        group: [...fs, '../smb/*', '@tsmb2/*', '../source/*'],
        message: 'an adapter sees the tree and its own protocol package',
      },
    ],
  ),
  restrict(
    ['src/smb/**/*.ts'],
    [
      {
        group: [...fs, '../nfs/*', '@holdfast/*', '../source/*'],
        message: 'an adapter sees the tree and its own protocol package',
      },
    ],
  ),
);
