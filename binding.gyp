{
  # node-gyp front end of the one build description, CMakeLists.txt:
  # `node-gyp rebuild` -> scripts/build-native.cjs -> cmake-js -> CMake.
  'targets': [
    {
      'target_name': 'lowrank',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cmake_js_build',
          'message': 'building <(PRODUCT_DIR)/lowrank.node with CMake',
          'inputs': [
            'CMakeLists.txt',
            'package.json',
            'scripts/build-native.cjs',
            '<!@(node scripts/list-sources.cjs)',
          ],
          'outputs': [ '<(PRODUCT_DIR)/lowrank.node' ],
          'action': [ 'node', 'scripts/build-native.cjs', '--config', '<(CONFIGURATION_NAME)' ],
        },
      ],
    },
  ],
}
