{{/*
The pod of a service, the one place where it is written.

  init   topics      waits until Kafka has the topics
         configure   (ksqldb) fills the credentials into the server's properties
         sidecar     ksqlDB or the embedded engine; it keeps running beside the program
         apply       brings the SQL onto it
  then   program     the thin half
         monitor     tells whether the sidecar runs and its tables answer

Stopping goes the other way: the program drains while its sidecar still answers.
Takes root and svc.
*/}}
{{- define "sidestream.pod" -}}
{{- $root := .root -}}
{{- $svc := .svc -}}
{{- $ksqldb := eq $svc.engine "ksqldb" -}}
{{- $half := dict "root" $root "principal" (first $svc.principals) -}}
{{- $sqlHalf := dict "root" $root "principal" (printf "%s-sql" $svc.name) -}}
metadata:
  labels:
    {{- include "sidestream.labels" (dict "root" $root "name" $svc.name) | nindent 4 }}
    {{- with $svc.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ ternary "program" "monitor" $svc.hasProgram }}
    {{- if $svc.hasSQL }}
    checksum/sql: {{ include "sidestream.sqlChecksum" . }}
    {{- if $ksqldb }}
    checksum/properties: {{ include "sidestream.ksqldbProperties" . | sha256sum }}
    {{- end }}
    {{- end }}
    {{- with merge (dict) $svc.podAnnotations $root.Values.commonAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "sidestream.podBase" $root | nindent 2 }}
  terminationGracePeriodSeconds: {{ int $svc.terminationGracePeriodSeconds }}
  {{- with $svc.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $svc.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $svc.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $svc.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $svc.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- if $svc.topologySpreadConstraints }}
    {{- toYaml $svc.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "sidestream.selector" (dict "root" $root "name" $svc.name) | nindent 10 }}
    {{- end }}
    {{- end }}
  initContainers:
    {{- with $svc.extraInitContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    - name: topics
      {{- include "sidestream.command" $root | nindent 6 }}
      args: [topics, wait, --file=/topics/topics.yaml, --timeout={{ int $root.Values.kafka.topics.waitSeconds }}s]
      env:
        {{- include "sidestream.kafkaEnv" $half | nindent 8 }}
      resources:
        {{- toYaml $root.Values.sidecar.apply.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.containerSecurityContext | nindent 8 }}
      volumeMounts:
        - {name: topics, mountPath: /topics, readOnly: true}
        {{- include "sidestream.kafkaMounts" $half | nindent 8 }}
    {{- if $svc.hasSQL }}
    {{- if $ksqldb }}
    {{- include "sidestream.ksqldb" (dict "root" $root "svc" $svc "half" $sqlHalf) | nindent 4 }}
    {{- else }}
    {{- include "sidestream.embedded" (dict "root" $root "svc" $svc "half" $sqlHalf) | nindent 4 }}
    {{- end }}
    - name: apply
      {{- include "sidestream.command" $root | nindent 6 }}
      args:
        - apply
        - /sql/{{ $svc.name }}
        - --server=http://127.0.0.1:8088
        {{- range $root.Values.sidecar.apply.args }}
        - {{ . | quote }}
        {{- end }}
      env:
        {{- include "sidestream.kafkaEnv" $sqlHalf | nindent 8 }}
      resources:
        {{- toYaml $root.Values.sidecar.apply.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.containerSecurityContext | nindent 8 }}
      volumeMounts:
        - {name: sql, mountPath: /sql/{{ $svc.name }}, readOnly: true}
        - {name: variables, mountPath: /sql/variables.yaml, subPath: variables.yaml, readOnly: true}
        {{- include "sidestream.kafkaMounts" $sqlHalf | nindent 8 }}
    {{- end }}
  containers:
    {{- if $svc.hasProgram }}
    {{- include "sidestream.program" (dict "root" $root "svc" $svc "half" $half) | nindent 4 }}
    {{- end }}
    {{- if $svc.hasSQL }}
    - name: monitor
      {{- include "sidestream.command" $root | nindent 6 }}
      args:
        - monitor
        - --server=http://127.0.0.1:8088
        - --listen=:8089
        - --state-dir=/state/monitor
        {{- range $svc.views }}
        - --view={{ . }}
        {{- end }}
        {{- if $ksqldb }}
        - --host=$(POD_NAME).{{ $svc.fullname }}-pods.{{ $root.Release.Namespace }}.svc:8088
        - --max-lag={{ int $root.Values.sidecar.monitor.maxLag }}
        {{- end }}
      env:
        - name: LOG_FORMAT
          value: json
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
      ports:
        - {name: monitor, containerPort: 8089}
      readinessProbe:
        httpGet: {path: /readyz, port: monitor}
        periodSeconds: 5
        timeoutSeconds: 5
      livenessProbe:
        httpGet: {path: /healthz, port: monitor}
        periodSeconds: 20
        timeoutSeconds: 5
        failureThreshold: 3
      resources:
        {{- toYaml $root.Values.sidecar.monitor.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.containerSecurityContext | nindent 8 }}
      volumeMounts:
        - {name: state, mountPath: /state}
    {{- end }}
    {{- with $svc.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: topics
      configMap: {name: {{ include "sidestream.base" $root }}-topics}
    - name: tmp
      emptyDir: {}
    {{- if not $svc.persistence.enabled }}
    - name: state
      emptyDir: {}
    {{- end }}
    {{- if $svc.hasSQL }}
    - name: sql
      configMap: {name: {{ $svc.sql.existingConfigMap | default (printf "%s-sql" $svc.fullname) }}}
    - name: variables
      configMap: {name: {{ $svc.fullname }}-variables}
    {{- if $ksqldb }}
    - name: properties
      configMap: {name: {{ $svc.fullname }}-ksqldb}
    - name: config
      emptyDir: {medium: Memory, sizeLimit: 1Mi}
    {{- end }}
    {{- end }}
    {{- include "sidestream.kafkaVolumes" (dict "root" $root "principals" $svc.principals) | nindent 4 }}
    {{- with $svc.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The thin half. Takes root, svc and half. */}}
{{- define "sidestream.program" -}}
{{- $root := .root -}}
{{- $svc := .svc -}}
{{- $p := $svc.program -}}
- name: program
  image: {{ include "sidestream.image" (dict "root" $root "image" $p.image) }}
  imagePullPolicy: {{ get $p.image "pullPolicy" | default $root.Values.image.pullPolicy }}
  {{- with get $p "command" }}
  command:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with get $p "args" }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  env:
    {{- include "sidestream.kafkaEnv" .half | nindent 4 }}
    - name: INSTANCE_ID
      valueFrom: {fieldRef: {fieldPath: metadata.name}}
    - name: HTTP_ADDR
      value: ":{{ int $p.port }}"
    - name: STATE_DIR
      value: /state/program
    - name: LOG_LEVEL
      value: {{ $p.logLevel }}
    - name: LOG_FORMAT
      value: json
    {{- if $svc.hasSQL }}
    - name: SIDECAR_URL
      value: http://127.0.0.1:8088
    {{- end }}
    {{- range $name, $value := $p.env }}
    - name: {{ $name }}
      value: {{ include "sidestream.text" $value | quote }}
    {{- end }}
    {{- with $svc.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $svc.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - {name: http, containerPort: {{ int $p.port }}}
  startupProbe:
    httpGet: {path: /healthz, port: http}
    periodSeconds: 1
    failureThreshold: 120
  readinessProbe:
    httpGet: {path: /readyz, port: http}
    periodSeconds: 5
    timeoutSeconds: 5
  livenessProbe:
    httpGet: {path: /healthz, port: http}
    periodSeconds: 20
    timeoutSeconds: 5
    failureThreshold: 3
  resources:
    {{- toYaml $p.resources | nindent 4 }}
  securityContext:
    {{- toYaml $root.Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: state, mountPath: /state}
    - {name: tmp, mountPath: /tmp}
    {{- include "sidestream.kafkaMounts" .half | nindent 4 }}
    {{- with $svc.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* ksqlDB. Takes root, svc and half. */}}
{{- define "sidestream.ksqldb" -}}
{{- $root := .root -}}
{{- $svc := .svc -}}
{{- $k := $root.Values.sidecar.ksqldb -}}
- name: configure
  {{- include "sidestream.command" $root | nindent 2 }}
  args: [configure, /properties/ksql-server.properties, /config/ksql-server.properties]
  env:
    {{- include "sidestream.kafkaEnv" .half | nindent 4 }}
    - name: POD_NAME
      valueFrom: {fieldRef: {fieldPath: metadata.name}}
  resources:
    {{- toYaml $root.Values.sidecar.apply.resources | nindent 4 }}
  securityContext:
    {{- toYaml $root.Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: properties, mountPath: /properties, readOnly: true}
    - {name: config, mountPath: /config}
    {{- include "sidestream.kafkaMounts" .half | nindent 4 }}
- name: sidecar
  image: {{ include "sidestream.image" (dict "root" $root "image" $k.image) }}
  imagePullPolicy: {{ $k.image.pullPolicy }}
  restartPolicy: Always
  # The image's own start script writes below /etc; this one reads the properties
  # that are ready and leaves the root read-only.
  command: [/usr/bin/ksql-server-start, /config/ksql-server.properties]
  env:
    - name: KSQL_HEAP_OPTS
      value: -Xms{{ $k.heap }} -Xmx{{ $k.heap }}
    - name: KSQL_OPTS
      value: {{ printf "-Djava.io.tmpdir=/tmp -XX:+ExitOnOutOfMemoryError %s" $k.javaOptions | trim | quote }}
    - name: KSQL_LOG4J_OPTS
      value: -Dlog4j.configuration=file:/properties/log4j.properties
    - name: KSQL_GC_LOG_OPTS
      value: -Xlog:gc=warning
    - name: LOG_DIR
      value: /tmp/logs
    {{- with $svc.sidecarExtraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {name: ksqldb, containerPort: 8088}
  # /info answers 503 until the command topic is read. That the tables answer is
  # the monitor's question, which makes the pod ready.
  startupProbe:
    httpGet: {path: /info, port: ksqldb}
    periodSeconds: 2
    timeoutSeconds: 5
    failureThreshold: {{ div (int $k.startupSeconds) 2 }}
  # A port, not an answer: while Kafka is away every endpoint hangs, and a restart
  # would not help.
  livenessProbe:
    tcpSocket: {port: ksqldb}
    periodSeconds: 20
    timeoutSeconds: 15
    failureThreshold: 6
  resources:
    {{- toYaml $k.resources | nindent 4 }}
  securityContext:
    {{- toYaml (merge (dict "runAsUser" (int $k.runAsUser)) $root.Values.containerSecurityContext) | nindent 4 }}
  volumeMounts:
    - {name: state, mountPath: /state}
    - {name: tmp, mountPath: /tmp}
    - {name: config, mountPath: /config, readOnly: true}
    - {name: properties, mountPath: /properties, readOnly: true}
    {{- include "sidestream.kafkaMounts" .half | nindent 4 }}
    {{- with $svc.sidecarExtraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The embedded engine. Its REST API is open to the pod alone. Takes root, svc and half. */}}
{{- define "sidestream.embedded" -}}
{{- $root := .root -}}
{{- $svc := .svc -}}
{{- $e := $root.Values.sidecar.embedded -}}
- name: sidecar
  {{- include "sidestream.command" $root | nindent 2 }}
  restartPolicy: Always
  args:
    - serve
    - --service-id={{ $svc.name }}_
    - --listen=127.0.0.1:8088
    - --state-dir=/state/sidecar
    - --commit-interval={{ $e.commitInterval }}
    - --start-timeout={{ int $e.startupSeconds }}s
    {{- with $root.Values.sidecar.schemaRegistry }}
    - --property=ksql.schema.registry.url={{ . }}
    {{- end }}
    {{- range $key, $value := merge (dict) $svc.sql.properties $root.Values.sidecar.properties }}
    - {{ printf "--property=%s=%s" $key (include "sidestream.text" $value) | quote }}
    {{- end }}
  env:
    {{- include "sidestream.kafkaEnv" .half | nindent 4 }}
    - name: LOG_FORMAT
      value: json
    {{- with $svc.sidecarExtraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  startupProbe:
    exec: {command: [/sidestream, ready, --timeout=2s, "http://127.0.0.1:8088/info"]}
    periodSeconds: 1
    timeoutSeconds: 5
    failureThreshold: {{ int $e.startupSeconds }}
  livenessProbe:
    exec: {command: [/sidestream, ready, --timeout=10s, "http://127.0.0.1:8088/info"]}
    periodSeconds: 30
    timeoutSeconds: 15
    failureThreshold: 6
  resources:
    {{- toYaml $e.resources | nindent 4 }}
  securityContext:
    {{- toYaml $root.Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: state, mountPath: /state}
    - {name: tmp, mountPath: /tmp}
    {{- include "sidestream.kafkaMounts" .half | nindent 4 }}
    {{- with $svc.sidecarExtraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Changes when the SQL does, and so rolls the pods. Takes root and svc. */}}
{{- define "sidestream.sqlChecksum" -}}
{{- $other := dict -}}
{{- with .svc.sql.existingConfigMap -}}
{{- $other = get (lookup "v1" "ConfigMap" $.root.Release.Namespace .) "data" | default dict -}}
{{- end -}}
{{- dict "files" .svc.files "variables" .svc.variables "other" $other | toJson | sha256sum -}}
{{- end -}}
