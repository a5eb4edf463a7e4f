package main

import (
	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/view"
)

func setupCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "setup", Short: "Print what an administrator of a cluster can prepare", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(setupRBACCommand(a))
	return c
}

func setupRBACCommand(a *app) *cobra.Command {
	var (
		namespace, user string
		ingress         bool
	)
	c := &cobra.Command{
		Use: "rbac", Short: "Print the rights that runs on Kubernetes need in their namespace, and nothing more",
		Long: "Print a Role with the rights that runs on Kubernetes need in their namespace, and nothing more, and a " +
			"RoleBinding that gives it to a user.\nWho may edit the namespace has them already. An administrator " +
			"gives them with:\n\n  metaml setup rbac --namespace TEAM --user NAME | kubectl apply -f -",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := cluster.Role(namespace, user, ingress)
			if err != nil {
				return err
			}
			_, err = view.Raw(a.out).Write(data)
			return err
		},
	}
	c.Flags().StringVar(&namespace, "namespace", "default", "the namespace that the runs are in")
	c.Flags().BoolVar(&ingress, "ingress", false, "with the rights for --ingress of servers: a ClusterRole follows, "+
		"by which the user sees the cluster's IngressClasses and Gateways")
	c.Flags().StringVar(&user, "user", "USER", "who gets the rights, as the cluster calls them")
	return c
}
