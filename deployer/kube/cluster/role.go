package cluster

import (
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Role is a Role with the rights of [Needed], [Serving], [Locking], [Autoscaled] and [Live], and a RoleBinding that
// gives it to a user, as YAML for kubectl apply. With ingress it has those of [IngressRights] and [RouteRights], too,
// and a ClusterRole with those of [Finding] follows.
func Role(namespace, user string, ingress bool) ([]byte, error) {
	const name = "metaml"
	rules := slices.Concat(Needed, Serving, Locking, Autoscaled, Live)
	if ingress {
		rules = slices.Concat(rules, IngressRights, RouteRights)
	}
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
	role := rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
		ObjectMeta: meta, Rules: policies(rules),
	}
	binding := rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   subjects(user),
	}
	text, err := documents(role, binding)
	if err != nil || !ingress {
		return text, err
	}
	more, err := public(user)
	return slices.Concat(text, []byte("---\n"), more), err
}

func policies(rules []Rule) (policies []rbacv1.PolicyRule) {
	for _, r := range rules {
		policies = append(policies, rbacv1.PolicyRule{
			APIGroups: []string{r.Group}, Resources: r.Resources, Verbs: r.Verbs,
		})
	}
	return policies
}

func subjects(user string) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
}

// documents writes a role and its binding, one after the other.
func documents(role, binding any) ([]byte, error) {
	first, err := yaml.Marshal(role)
	if err != nil {
		return nil, fmt.Errorf("write the role: %w", err)
	}
	second, err := yaml.Marshal(binding)
	if err != nil {
		return nil, fmt.Errorf("write the role binding: %w", err)
	}
	return slices.Concat(first, []byte("---\n"), second), nil
}
