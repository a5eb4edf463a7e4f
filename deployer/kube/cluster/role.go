package cluster

import (
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Role is a Role with the rights of [Needed], [Serving], [Locking], [Autoscaled] and [Live], and a RoleBinding that
// gives it to a user, as YAML for kubectl apply.
func Role(namespace, user string) ([]byte, error) {
	const name = "metaml"
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
	role := rbacv1.Role{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"}, ObjectMeta: meta,
	}
	for _, r := range slices.Concat(Needed, Serving, Locking, Autoscaled, Live) {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{
			APIGroups: []string{r.Group}, Resources: r.Resources, Verbs: r.Verbs,
		})
	}
	binding := rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	}
	first, err := yaml.Marshal(role)
	if err != nil {
		return nil, fmt.Errorf("write the role: %w", err)
	}
	second, err := yaml.Marshal(binding)
	if err != nil {
		return nil, fmt.Errorf("write the role binding: %w", err)
	}
	return append(append(first, "---\n"...), second...), nil
}
