// Rules that a formatter cannot keep: hooks, accessibility, and what TypeScript alone lets through.
import js from '@eslint/js'
import a11y from 'eslint-plugin-jsx-a11y'
import hooks from 'eslint-plugin-react-hooks'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'src/shared/api/schema.d.ts', '*.mjs', '*.cjs', '*.js'] },
  js.configs.recommended,
  tseslint.configs.strict,
  hooks.configs.flat['recommended-latest'],
  a11y.flatConfigs.strict,
  {
    rules: {
      'no-console': 'error',
      'react-hooks/exhaustive-deps': 'error',
      // refs that hold the newest callback are written while rendering, and read by handlers only
      'react-hooks/refs': 'off',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
    },
  },
)
