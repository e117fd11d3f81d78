{{/* How the release reaches Kafka. */}}

{{- define "sidestream.bootstrap" -}}
{{- $k := .Values.kafka -}}
{{- if eq $k.mode "evaluation" -}}
{{- printf "%s:9092" (include "sidestream.fullname" (dict "root" . "name" "kafka")) -}}
{{- else if $k.bootstrapServers -}}
{{- $k.bootstrapServers -}}
{{- else if eq $k.mode "strimzi" -}}
{{- printf "%s-kafka-bootstrap.%s.svc:%s" $k.strimzi.cluster (include "sidestream.strimziNamespace" .) (ternary "9093" "9092" (eq (include "sidestream.tls" .) "true")) -}}
{{- else -}}
{{- fail "kafka.bootstrapServers is empty: with kafka.mode \"existing\" give host:port of the cluster's brokers, divided by commas." -}}
{{- end -}}
{{- end -}}

{{- define "sidestream.strimziNamespace" -}}
{{- .Values.kafka.strimzi.namespace | default .Release.Namespace -}}
{{- end -}}

{{- define "sidestream.tls" -}}
{{- $given := get .Values.kafka.tls "enabled" -}}
{{- ternary $given (eq .Values.kafka.mode "strimzi") (kindIs "bool" $given) -}}
{{- end -}}

{{/* The SASL mechanism, or nothing. */}}
{{- define "sidestream.mechanism" -}}
{{- $given := .Values.kafka.sasl.mechanism -}}
{{- if and (not $given) (eq .Values.kafka.mode "strimzi") .Values.kafka.strimzi.users -}}
SCRAM-SHA-512
{{- else if ne $given "none" -}}
{{- $given -}}
{{- end -}}
{{- end -}}

{{- define "sidestream.protocol" -}}
{{- $tls := eq (include "sidestream.tls" .) "true" -}}
{{- if include "sidestream.mechanism" . -}}
{{- ternary "SASL_SSL" "SASL_PLAINTEXT" $tls -}}
{{- else -}}
{{- ternary "SSL" "PLAINTEXT" $tls -}}
{{- end -}}
{{- end -}}

{{- define "sidestream.caSecret" -}}
{{- $given := .Values.kafka.tls.caSecret.name -}}
{{- if and (not $given) (eq .Values.kafka.mode "strimzi") -}}
{{- printf "%s-cluster-ca-cert" .Values.kafka.strimzi.cluster -}}
{{- else -}}
{{- $given -}}
{{- end -}}
{{- end -}}

{{/* The Secret of a principal. Takes root and principal. */}}
{{- define "sidestream.credentials" -}}
{{- $sasl := .root.Values.kafka.sasl -}}
{{- $found := get $sasl.secrets .principal | default $sasl.secret -}}
{{- if and (not $found) (eq .root.Values.kafka.mode "strimzi") .root.Values.kafka.strimzi.users -}}
{{- $found = .principal -}}
{{- end -}}
{{- $found | required (printf "kafka.sasl: no Secret for the principal %q. Name it in kafka.sasl.secrets.%s, or one for all in kafka.sasl.secret." .principal .principal) -}}
{{- end -}}

{{/* Settings of a Kafka client in a program of ours. Takes root and principal. */}}
{{- define "sidestream.kafkaEnv" -}}
{{- $sasl := .root.Values.kafka.sasl -}}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: {{ include "sidestream.bootstrap" .root | quote }}
{{- $protocol := include "sidestream.protocol" .root }}
{{- if ne $protocol "PLAINTEXT" }}
- name: KAFKA_SECURITY_PROTOCOL
  value: {{ $protocol }}
{{- end }}
{{- with include "sidestream.mechanism" .root }}
- name: KAFKA_SASL_MECHANISM
  value: {{ . }}
- name: KAFKA_SASL_USERNAME
  {{- include "sidestream.username" $ | nindent 2 }}
- name: KAFKA_SASL_PASSWORD_FILE
  value: /kafka/credentials/password
{{- end }}
{{- if and (eq (include "sidestream.tls" .root) "true") (include "sidestream.caSecret" .root) }}
- name: KAFKA_SSL_CA_LOCATION
  value: /kafka/ca/ca.crt
{{- end }}
{{- end -}}

{{- define "sidestream.username" -}}
{{- if and .root.Values.kafka.sasl.usernameKey (ne .root.Values.kafka.mode "strimzi") -}}
valueFrom:
  secretKeyRef:
    name: {{ include "sidestream.credentials" . }}
    key: {{ .root.Values.kafka.sasl.usernameKey }}
{{- else -}}
value: {{ .principal | quote }}
{{- end -}}
{{- end -}}

{{/* Where a container finds them. Takes root and principal. */}}
{{- define "sidestream.kafkaMounts" -}}
{{- if include "sidestream.mechanism" .root }}
- {name: {{ printf "kafka-%s" .principal | trunc 63 }}, mountPath: /kafka/credentials, readOnly: true}
{{- end }}
{{- if and (eq (include "sidestream.tls" .root) "true") (include "sidestream.caSecret" .root) }}
- {name: kafka-ca, mountPath: /kafka/ca, readOnly: true}
{{- end }}
{{- end -}}

{{/* The pod's volumes with them. Takes root and principals. */}}
{{- define "sidestream.kafkaVolumes" -}}
{{- $root := .root }}
{{- if include "sidestream.mechanism" $root }}
{{- range .principals }}
- name: {{ printf "kafka-%s" . | trunc 63 }}
  secret:
    secretName: {{ include "sidestream.credentials" (dict "root" $root "principal" .) }}
    defaultMode: 0440
    items:
      - {key: {{ $root.Values.kafka.sasl.passwordKey | quote }}, path: password}
{{- end }}
{{- end }}
{{- if and (eq (include "sidestream.tls" $root) "true") (include "sidestream.caSecret" $root) }}
- name: kafka-ca
  secret:
    secretName: {{ include "sidestream.caSecret" $root }}
    items:
      - {key: {{ $root.Values.kafka.tls.caSecret.key | quote }}, path: ca.crt}
{{- end }}
{{- end -}}

{{/* topics.yaml, as text. */}}
{{- define "sidestream.topicsYAML" -}}
{{- .Values.kafka.topics.yaml | default (.Files.Get "ksql/topics.yaml") -}}
{{- end -}}
